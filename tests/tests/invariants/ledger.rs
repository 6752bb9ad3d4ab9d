//! Token accounts of requests, kept from step records alone.

use kendall_serving::{RowKind, StepRecord};
use kendall_tests::property::Verdict;
use kendall_tests::tape::Played;
use proptest::prelude::*;

use crate::scenario::Scenario;

/// What the steps say about one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Tokens computed since the last admission; `None` outside the running list.
    pub computed: Option<u32>,
    /// Tokens that its steps were scheduled to deliver.
    pub delivered: u32,
    pub num_preemptions: u32,
    pub num_lost_tokens: u64,
    /// Prefix hit of the first admission; `None` before it.
    pub first_hit: Option<u32>,
    /// Places in the tape of the steps that deliver its tokens.
    pub delivering_steps: Vec<usize>,
}

/// The accounts of all requests, and that they add up: between two preemptions every step continues where the one
/// before stopped, nobody is given more than is known of it, and a prefix hit is whole blocks and never everything.
pub(crate) fn accounts(scenario: &Scenario, played: &Played) -> Result<Vec<Account>, TestCaseError> {
    let mut accounts = vec![Account::default(); scenario.requests.len()];
    for (place, step) in played.tape.steps.iter().enumerate() {
        for &request in &step.preempted {
            let account = &mut accounts[request as usize];
            let lost = account.computed.take();
            prop_assert!(lost.is_some(), "request {request} is preempted in {step:?} and was not running");
            account.num_preemptions += 1;
            account.num_lost_tokens += u64::from(lost.unwrap_or_default());
        }
        book(scenario, &mut accounts, place, step)?;
    }
    Ok(accounts)
}

fn book(scenario: &Scenario, accounts: &mut [Account], place: usize, step: &StepRecord) -> Verdict {
    let engine = &scenario.config.engine;
    for row in &step.rows {
        let account = &mut accounts[row.request as usize];
        let known = scenario.requests[row.request as usize].num_prompt_tokens + account.delivered;
        let hit = row.num_computed_tokens;
        match row.kind {
            RowKind::Running => {
                prop_assert_eq!(account.computed, Some(hit), "request {} in {:?}", row.request, step);
            }
            RowKind::Admitted | RowKind::Resumed => {
                prop_assert_eq!(account.computed, None, "request {} in {:?}", row.request, step);
                prop_assert_eq!(row.kind == RowKind::Resumed, account.first_hit.is_some());
                prop_assert!(account.first_hit.is_none() || account.num_preemptions > 0);
                prop_assert!(hit.is_multiple_of(engine.block_size) && hit < known);
                prop_assert!(engine.enable_prefix_caching || hit == 0);
                account.first_hit.get_or_insert(hit);
            }
        }
        let computed = row.num_computed_tokens + row.num_tokens;
        prop_assert!(row.num_tokens > 0 && computed <= known, "{row:?} of {known} known tokens");
        prop_assert!(computed < engine.max_model_len, "the last token is never computed");
        account.computed = Some(computed);
        if computed == known {
            account.delivered += 1;
            account.delivering_steps.push(place);
        }
    }
    Ok(())
}
