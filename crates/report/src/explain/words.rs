//! The story of one request in sentences.

use kendall_des::{SimDuration, SimTime};
use kendall_serving::RequestStatus;
use kendall_serving::anatomy::{Anatomy, LatencyPart as Part, LatencyParts, LifeEvent, Turn};

use crate::number::{percent, significant, whole};

use super::{mean_batch_size, ms, share};

/// What happened, in order; lines of at most `width` characters.
pub(super) fn tell(anatomy: &Anatomy, usable_blocks: u32, width: usize) -> String {
    let sentences: Vec<String> = [
        Some(arrival(anatomy)),
        waiting(anatomy, usable_blocks),
        first_token(anatomy),
        preemptions(anatomy),
        decoding(anatomy),
        ending(anatomy),
    ]
    .into_iter()
    .flatten()
    .collect();
    wrap(&sentences.join(" "), width.clamp(40, 100))
}

fn seconds(at: SimTime) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

/// `12.3 ms (4.5 %)`
fn of_life(part: SimDuration, anatomy: &Anatomy) -> String {
    format!("{} ms ({})", ms(part), percent(Some(share(part, anatomy.sojourn()))))
}

fn arrival(anatomy: &Anatomy) -> String {
    let whole_life = anatomy.whole();
    let record = &anatomy.record;
    let sent = format!("It was sent at {}.", seconds(record.arrival));
    if record.status == RequestStatus::Rejected {
        return format!("{sent} The server refused it: its prompt leaves no room for an output token.");
    }
    let boundary = whole_life.get(Part::StepBoundary);
    let boundary = (boundary > SimDuration::ZERO)
        .then(|| format!("; it lay {} ms in the input queue until the running step was over", ms(boundary)));
    let front_end = format!(" The front end took {} ms", ms(whole_life.get(Part::FrontEnd)));
    format!("{sent}{front_end}{}{}.", front_end_parts(anatomy), boundary.unwrap_or_default())
}

/// What the front end did, where that is more than one thing.
fn front_end_parts(anatomy: &Anatomy) -> String {
    let of = &anatomy.front_end;
    let named = [
        (of.receipt, "on the way to the engine"),
        (of.tokenising, "tokenising"),
        (of.streaming, "detokenising and streaming the first token"),
        (of.held_up, "held up by a cold start or longer prompts before it"),
    ];
    let parts: Vec<String> = named
        .iter()
        .filter(|(part, _)| *part > SimDuration::ZERO)
        .map(|(part, what)| format!("{} {what}", ms(*part)))
        .collect();
    if parts.len() > 1 { format!(" ({})", parts.join(", ")) } else { String::new() }
}

fn waiting(anatomy: &Anatomy, usable_blocks: u32) -> Option<String> {
    let whole_life = anatomy.whole();
    let waits: Vec<String> = [
        (Part::SeatWait, "all seats (`max_num_seqs`) were taken"),
        (Part::BudgetWait, "the token budget of each step went to requests in front of it"),
        (Part::KvWait, "the head of the queue found too few free KV blocks"),
        (Part::RuleWait, "the engine's rule let nobody in"),
    ]
    .into_iter()
    .filter(|&(part, _)| whole_life.get(part) > SimDuration::ZERO)
    .map(|(part, why)| format!("{} while {why}", of_life(whole_life.get(part), anatomy)))
    .collect();
    let waited = (!waits.is_empty()).then(|| format!("It waited {}.", list(&waits)));
    let admitted = anatomy.events.iter().find_map(|event| match event.what {
        Turn::Admitted { cached_tokens } => Some(admission(event, cached_tokens, usable_blocks)),
        Turn::Preempted { .. } | Turn::Resumed => None,
    });
    match (waited, admitted) {
        (None, None) => None,
        (waited, admitted) => Some([waited, admitted].into_iter().flatten().collect::<Vec<_>>().join(" ")),
    }
}

fn admission(event: &LifeEvent, cached_tokens: u32, usable_blocks: u32) -> String {
    let cached = if cached_tokens > 0 {
        format!(", with {} prompt tokens from the prefix cache", whole(cached_tokens.into()))
    } else {
        String::new()
    };
    format!(
        "At {} it was admitted{cached}: then {} ran, {} waited, and {} of {} blocks were free.",
        seconds(event.at),
        count(event.num_running, "request"),
        whole(event.num_waiting.into()),
        whole(event.free_blocks.into()),
        whole(usable_blocks.into())
    )
}

fn first_token(anatomy: &Anatomy) -> Option<String> {
    anatomy.record.first_token?;
    let parts = &anatomy.to_first_token;
    Some(format!(
        "Its prompt took {} ms by itself{}.",
        ms(parts.get(Part::Prefill)),
        additions(parts).map(|added| format!("; {added}")).unwrap_or_default()
    ))
}

/// What others added to the steps of these parts.
fn additions(parts: &LatencyParts) -> Option<String> {
    let added: Vec<String> = [
        (Part::ChunkInterference, "prompt chunks of others"),
        (Part::Sharing, "decoding of others, and steps without a share for it,"),
    ]
    .into_iter()
    .filter(|&(part, _)| parts.get(part) > SimDuration::ZERO)
    .map(|(part, what)| format!("{what} added {} ms", ms(parts.get(part))))
    .collect();
    (!added.is_empty()).then(|| list(&added))
}

fn preemptions(anatomy: &Anatomy) -> Option<String> {
    let first = anatomy.events.iter().find(|event| matches!(event.what, Turn::Preempted { .. }))?;
    let (record, whole_life) = (&anatomy.record, anatomy.whole());
    let once =
        if record.num_preemptions == 1 { "once".into() } else { format!("{} times", record.num_preemptions) };
    Some(format!(
        "It was preempted {once}, first at {}, and lost {} computed tokens: {} until it came back, {} to compute them again.",
        seconds(first.at),
        whole(record.num_lost_tokens),
        of_life(whole_life.get(Part::Preempted), anatomy),
        of_life(whole_life.get(Part::Recompute), anatomy)
    ))
}

fn decoding(anatomy: &Anatomy) -> Option<String> {
    let record = &anatomy.record;
    let tpot = record.tpot()?;
    let gaps = f64::from(record.num_output_tokens - 1);
    let alone = anatomy.after.get(Part::Decode).as_millis_f64() / gaps;
    Some(format!(
        "After the first token one came every {} ms, where {} ms would do without others{}. {} of its {} steps had prompt \
         chunks of others; they had {} sequences on average.",
        ms(tpot),
        significant(Some(alone)),
        additions(&anatomy.after).map(|added| format!("; {added} in all")).unwrap_or_default(),
        whole(anatomy.num_steps_with_chunks),
        whole(anatomy.num_steps),
        significant(mean_batch_size(anatomy))
    ))
}

fn ending(anatomy: &Anatomy) -> Option<String> {
    let record = &anatomy.record;
    let how = match record.status {
        RequestStatus::Finished | RequestStatus::Rejected => return None,
        RequestStatus::Aborted => "Its client gave up at",
        RequestStatus::Unfinished => "It had not left when the run ended at",
    };
    Some(format!("{how} {}.", seconds(record.finish)))
}

fn count(n: u32, what: &str) -> String {
    format!("{} {what}{}", whole(n.into()), if n == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

/// Breaks at blanks.
fn wrap(text: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_asked() {
        assert_eq!(wrap("a bb ccc dddd", 6), "a bb\nccc\ndddd");
        assert_eq!(wrap("", 6), "");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
