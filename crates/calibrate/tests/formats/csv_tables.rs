//! CSV of requests and of steps.

use kendall_calibrate::{CaveatKind, Format, MeasuredStep, read_bytes};

use crate::{close, has, message};

fn read(text: &str) -> kendall_calibrate::Measured {
    read_bytes("r.csv", text.as_bytes()).expect("valid").remove(0)
}

#[test]
fn requests_with_latencies() {
    let run = read(
        "# measured on Tuesday\nindex,send_s,prompt_tokens,output_tokens,error,ttft_s,e2e_s\n\
         0,10.5,100,11,0,0.25,1.25\n1,11.5,7,1.0,,0.5,0.5\n2,12,7,5,503,,\n",
    );
    assert_eq!((run.format, run.requests.len()), (Format::OwnCsv, 3));
    assert_eq!((run.requests[0].send_s, run.requests[2].send_s), (Some(0.0), Some(1.5)));
    assert_eq!(run.requests[0].tpot_s(), Some(0.1));
    assert_eq!((run.requests[1].tpot_s(), run.requests[1].output_tokens), (None, Some(1)));
    assert_eq!(run.requests[2].error.as_deref(), Some("503"));
    assert_eq!((run.summary.completed, run.summary.failed), (Some(2), Some(1)));
    assert_eq!(run.summary.ttft_s.unwrap().mean, Some(0.375));
}

#[test]
fn requests_with_the_server_s_instants() {
    let run = read(
        "arrival_s,prompt_tokens,output_tokens,queued_s,scheduled_s,first_s,last_s\n0.0,8,3,0.25,0.5,1.25,2.25\n",
    );
    assert_eq!((run.requests[0].ttft_s, run.requests[0].e2e_s), (Some(1.0), Some(2.0)));
    assert_eq!(run.requests[0].tpot_s(), Some(0.5));
    assert!(has(&run, CaveatKind::ServerClock));
}

#[test]
fn steps_with_aliases_and_what_is_guessed() {
    let run = read(
        "run,step_s,prefill_tokens,prefill_seqs,decode_seqs,decode_ctx_tokens,gpu,model,engine,engine_version,tp\n\
         a,0.010,0,0,2,300,H100,m,vllm,0.23,1\nb,0.050,100,2,1,50,H100,m,vllm,0.23,1\n",
    );
    let log = run.steps.clone().unwrap();
    assert_eq!(
        log.steps[0],
        MeasuredStep {
            duration_s: 0.01,
            decode_seqs: 2.0,
            decode_context_tokens: 300.0,
            ..MeasuredStep::default()
        }
    );
    let guessed = log.steps[1];
    assert_eq!((guessed.run, guessed.new_seqs), (1, 2.0));
    // Two prompts of 50 tokens, each one chunk: contexts 50 + 50, attention 2 * 50 * 50.
    assert!(
        close(guessed.prefill_context_tokens, 100.0, 1e-12)
            && close(guessed.prefill_attention, 5_000.0, 1e-12)
    );
    assert!(has(&run, CaveatKind::ShapeIncomplete) && !has(&run, CaveatKind::AggregatesOnly));
    assert_eq!(log.server.engine_version.as_deref(), Some("vllm 0.23"));
    assert_eq!((log.server.gpu.as_deref(), log.server.tensor_parallel_size), (Some("H100"), Some(1)));
}

/// kendall's own `steps.csv`: request 1 finds 16 tokens in the prefix cache, which the sum of contexts shows.
#[test]
fn the_shape_is_rebuilt_from_who_ran() {
    let run = read(
        "replica,step,scheduled_s,start_s,end_s,prefill_tokens,decode_seqs,context_tokens,scheduled,admitted,preempted\n\
         0,0,0,0.00,0.02,24,0,24,0:24,0,\n\
         0,1,0,0.02,0.04,9,1,50,0:1 1:9,1,\n\
         0,2,0,0.04,0.05,0,2,52,0:1 1:1,,\n",
    );
    let steps = run.steps.unwrap().steps;
    assert_eq!(steps.len(), 3);
    assert_eq!(
        (steps[0].prefill_context_tokens, steps[0].prefill_attention, steps[0].new_seqs),
        (24.0, 576.0, 1.0)
    );
    // Request 0 decodes at 25; request 1 ends its chunk of 9 at 16 + 9.
    assert_eq!((steps[1].decode_context_tokens, steps[1].prefill_context_tokens), (25.0, 25.0));
    assert!(close(steps[1].prefill_attention, 225.0, 1e-12));
    assert_eq!((steps[2].decode_context_tokens, steps[2].prefill_attention), (52.0, 0.0));
}

#[test]
fn steps_that_cannot_be_rebuilt_are_left_out_and_counted() {
    let run = read(
        "replica,start_s,end_s,prefill_tokens,decode_seqs,context_tokens,scheduled,admitted,preempted\n\
         0,0.00,0.02,20,0,52,0:10 1:10,0 1,\n0,0.02,0.03,5,0,5,2:5,2,\n",
    );
    assert_eq!(run.steps.as_ref().unwrap().steps.len(), 1);
    assert!(
        run.caveats.iter().any(|caveat| caveat.text.starts_with("1 steps whose contexts cannot be rebuilt"))
    );
}

#[test]
fn a_log_without_contexts_says_so() {
    let run = read("step_s,prefill_tokens,decode_seqs\n0.01,0,1\n");
    assert!(run.caveats.iter().any(|caveat| caveat.text.starts_with("no column decode_context_tokens")));
}

#[test]
fn faults_are_named_with_line_field_and_remedy() {
    let header = "send_s,prompt_tokens,output_tokens,ttft_s\n";
    for (text, expected) in [
        (
            format!("{header}0,5,-3,0.1\n"),
            "r:2: output_tokens is `-3`; expected a number from 0 to 1e18; mend the table",
        ),
        (format!("{header}0,5,3,0.1\n1,5.5,3,0.1\n"), "r:3: prompt_tokens is `5.5`; expected a whole number"),
        (format!("{header}0,5,3,NaN\n"), "r:2: ttft_s is `NaN`; expected a number from 0 to 1e18"),
        (format!("{header}0,5,3,0.1\n0,5"), "r:3: the file ends in the middle of its CSV"),
        (format!("{header}0,5\n0,5,3,0.1\n"), "r:2: not valid CSV"),
        (header.to_owned(), "r: the file ends in the middle of its CSV (no row follows the header)"),
        ("step_s,prefill_tokens,decode_seqs\nx,0,1\n".to_owned(), "r:2: step_s is `x`; expected a number"),
        (
            "start_s,end_s,prefill_tokens,decode_seqs\n2,1,0,1\n".to_owned(),
            "r:2: end_s is `1`; expected an instant not",
        ),
        ("a,b\n1,2\n".to_owned(), "r: no known measured result: a table with the columns a,b"),
    ] {
        let message = message(&text);
        assert!(message.starts_with(expected), "{message}");
    }
}

/// Found by the fuzzer: what tells a table apart is more lenient with quotes than what reads it.
#[test]
fn a_duration_under_another_name_is_missing() {
    let text = "step_s\",prefill_tokens,decode_seqs\n0.01,0,3\n";
    assert_eq!(
        message(text),
        "r: column step_s or step_s_median is missing; expected how long a step took; mend the table, or write it again"
    );
}
