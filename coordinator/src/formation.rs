//! Whether a member with an empty store forms the group or joins the one that is there. Pure.
//!
//! A group is formed once. Who has nothing asks all others that it is told of, and forms only together with most of them that have nothing either. If one of
//! them belongs to a group, this one joins it: it waits for the leader, which may know it from the list, or until it is added.
//!
//! A member that has lost its store has also lost whom it voted for, and must not come back under its number: a group whose others remember it
//! ("met") gets it as somebody new.

use rpc::GroupStatus;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Propose the list of members.
    Form,
    /// Listen; the leader comes by itself, or somebody adds this member.
    Join,
    /// The group has met a member of this number: this store has forgotten what that one has promised. Another number is needed.
    Forgotten,
    /// Ask again.
    Wait,
}

/// Decides from the answers of the other members. `members` is the list that this one was given, `listed` whether it is in it.
pub(crate) fn decide(node: u64, listed: bool, members: usize, answers: &[GroupStatus]) -> Decision {
    let formed = answers.iter().filter(|answer| !answer.cluster_id.is_empty());
    if let Some(met) = formed.map(|answer| answer.met.contains(&node)).reduce(|a, b| a || b) {
        return if met { Decision::Forgotten } else { Decision::Join };
    }
    if !listed {
        return Decision::Join;
    }
    // Itself is one of them.
    if answers.len() + 1 > members / 2 { Decision::Form } else { Decision::Wait }
}

#[cfg(test)]
mod tests {
    use rpc::GroupStatus;

    use super::{Decision, decide};

    fn answer(cluster_id: &str, met: &[u64]) -> GroupStatus {
        GroupStatus {
            node: 1,
            address: "h:1".to_owned(),
            cluster_id: cluster_id.to_owned(),
            state: String::new(),
            leader: None,
            term: 0,
            last_log: 0,
            applied: 0,
            members: Vec::new(),
            met: met.to_vec(),
            version: String::new(),
        }
    }

    #[test]
    fn a_group_is_formed_by_most_of_those_who_have_nothing() {
        assert_eq!(decide(7, true, 3, &[]), Decision::Wait);
        assert_eq!(decide(7, true, 3, &[answer("", &[])]), Decision::Form);
        assert_eq!(decide(7, true, 5, &[answer("", &[])]), Decision::Wait);
        assert_eq!(decide(7, true, 5, &[answer("", &[]), answer("", &[])]), Decision::Form);
        assert_eq!(decide(7, true, 1, &[]), Decision::Form);
    }

    #[test]
    fn where_there_is_a_group_it_is_joined() {
        let some = [answer("", &[]), answer("c", &[1, 2])];
        assert_eq!(decide(7, true, 3, &some), Decision::Join, "two have nothing, but one knows better");
        assert_eq!(decide(2, true, 3, &some), Decision::Forgotten);
        assert_eq!(decide(7, false, 3, &[]), Decision::Join, "who is not in the list never forms");
    }
}
