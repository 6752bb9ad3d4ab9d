//! The fidelity ledger: every setting of a server, where its value comes from, and how kendall treats it.

use serde::Serialize;

use crate::engine::{SchedulingPolicy, VersionDefaults};

/// How kendall treats a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Treatment {
    /// As the engine does.
    Modelled,
    /// Close to what the engine does; the note says how close.
    Approximated,
    /// Not at all.
    Ignored,
}

/// One line of the fidelity ledger.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerEntry {
    /// Key in `[server]`.
    pub setting: &'static str,
    /// Value in force.
    pub value: String,
    /// `scenario`, `default of ...`, or how it was derived.
    pub source: String,
    /// How it is treated.
    pub treatment: Treatment,
    /// What a reader should know.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub note: &'static str,
}

/// Collects settings while they are resolved.
#[derive(Default)]
pub(super) struct Ledger(Vec<LedgerEntry>);

impl Ledger {
    /// The scenario's value, or the default with its reason.
    pub(super) fn take<T: ToString>(
        &mut self,
        setting: &'static str,
        given: Option<T>,
        default: T,
        why: &str,
    ) -> T {
        let source = if given.is_some() { "scenario".into() } else { why.to_owned() };
        let value = given.unwrap_or(default);
        self.add(setting, value.to_string(), source, Treatment::Modelled, "");
        value
    }

    pub(super) fn into_entries(self) -> Vec<LedgerEntry> {
        self.0
    }

    /// Where the engine follows a later version's rule than the one named.
    pub(super) fn add_version_notes(
        &mut self,
        defaults: &VersionDefaults,
        async_scheduling: bool,
        policy: SchedulingPolicy,
        enable_prefix_caching: bool,
    ) {
        for (differs, setting, note) in [
            (
                async_scheduling && !defaults.stale_tokens_tracked,
                "async_scheduling",
                "a preempted request waits for its tokens in flight, as from 0.27 on",
            ),
            (
                policy == SchedulingPolicy::Priority && !defaults.victim_position_tracked,
                "scheduling_policy",
                "a victim ahead of the scan moves the scan back, as from 0.28 on",
            ),
            (
                enable_prefix_caching && !defaults.prefix_hits_counted_once,
                "enable_prefix_caching",
                "the hit rate counts admissions, as from 0.27 on; before, failed attempts counted too",
            ),
        ] {
            if let Some(entry) = self.0.iter_mut().find(|entry| differs && entry.setting == setting) {
                (entry.treatment, entry.note) = (Treatment::Approximated, note);
            }
        }
    }

    pub(super) fn add(
        &mut self,
        setting: &'static str,
        value: String,
        source: String,
        treatment: Treatment,
        note: &'static str,
    ) {
        self.0.push(LedgerEntry { setting, value, source, treatment, note });
    }
}
