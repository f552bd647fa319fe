//! What can be said about a pattern without running it. Case folding needs no care here: it has become character classes.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The most values that a pattern is expanded to where alternatives multiply; a plain alternation may be as long as it was written.
const MAX_PRODUCT: usize = 1000;

/// The most bytes that are copied while alternatives are joined, so that a long pattern of many small parts is given up early.
const MAX_COPIED: usize = 4 << 20;

/// Deepest nesting that is looked into.
const MAX_DEPTH: usize = 20;

/// A part of a simple pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// `.*`
    Any,
    /// `.+`
    Some,
    Literal(String),
}

/// All values that the anchored pattern fits, sorted and unique.
pub(super) fn expand(hir: &Hir) -> Option<Vec<String>> {
    let mut values = Expansion { budget: MAX_COPIED }.alternatives(hir, true, true, 0)?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}

/// What values begin with that fit, if nothing more is asked of them: `(a|b)c.*`, `a.*|b.*`. Sorted, and none begins with another.
pub(super) fn prefixes(hir: &Hir) -> Option<Vec<String>> {
    let mut all = Vec::new();
    gather_prefixes(hir, &mut Expansion { budget: MAX_COPIED }, 0, &mut all)?;
    all.sort_unstable();
    all.dedup_by(|longer, shorter| longer.starts_with(shorter.as_str()));
    Some(all)
}

fn gather_prefixes(hir: &Hir, expansion: &mut Expansion, depth: usize, out: &mut Vec<String>) -> Option<()> {
    match hir.kind() {
        _ if depth > MAX_DEPTH => None,
        HirKind::Capture(capture) => gather_prefixes(&capture.sub, expansion, depth + 1, out),
        HirKind::Alternation(parts) => parts.iter().try_for_each(|part| gather_prefixes(part, expansion, depth + 1, out)),
        HirKind::Concat(parts) => {
            let (last, before) = parts.split_last()?;
            if piece(last)? != Piece::Any {
                return None;
            }
            out.extend(expansion.concatenation(before, true, false, depth + 1)?);
            Some(())
        }
        _ => None,
    }
}

struct Expansion {
    budget: usize,
}

impl Expansion {
    /// `first` and `last`: nothing that has a width stands before or after, so that anchors say nothing.
    fn alternatives(&mut self, hir: &Hir, first: bool, last: bool, depth: usize) -> Option<Vec<String>> {
        if depth > MAX_DEPTH {
            return None;
        }
        match hir.kind() {
            HirKind::Empty => Some(vec![String::new()]),
            HirKind::Literal(literal) => Some(vec![std::str::from_utf8(&literal.0).ok()?.to_owned()]),
            HirKind::Look(Look::Start) if first => Some(vec![String::new()]),
            HirKind::Look(Look::End) if last => Some(vec![String::new()]),
            HirKind::Look(_) => None,
            HirKind::Class(class) => characters(class),
            HirKind::Capture(capture) => self.alternatives(&capture.sub, first, last, depth + 1),
            HirKind::Repetition(r) if (r.min, r.max) == (0, Some(1)) => {
                let mut values = self.alternatives(&r.sub, first, last, depth + 1)?;
                values.push(String::new());
                Some(values)
            }
            HirKind::Repetition(_) => None,
            HirKind::Concat(parts) => self.concatenation(parts, first, last, depth),
            HirKind::Alternation(parts) => {
                let mut values = Vec::with_capacity(parts.len());
                for part in parts {
                    values.extend(self.alternatives(part, first, last, depth + 1)?);
                }
                Some(values)
            }
        }
    }

    fn concatenation(&mut self, parts: &[Hir], first: bool, last: bool, depth: usize) -> Option<Vec<String>> {
        let is_look = |hir: &Hir| matches!(hir.kind(), HirKind::Look(_));
        // The first and the last part with a width; anchors outside of them are at the ends.
        let begin = parts.iter().position(|p| !is_look(p)).unwrap_or(parts.len());
        let end = parts.iter().rposition(|p| !is_look(p)).unwrap_or(0);
        let mut values = vec![String::new()];
        for (at, part) in parts.iter().enumerate() {
            let more = self.alternatives(part, first && at <= begin, last && at >= end, depth + 1)?;
            if values.len() > 1 && more.len() > 1 && values.len() * more.len() > MAX_PRODUCT {
                return None;
            }
            let length = |values: &[String]| values.iter().map(String::len).sum::<usize>();
            let copied = length(&values) * more.len() + length(&more) * values.len();
            self.budget = self.budget.checked_sub(copied)?;
            values = values.iter().flat_map(|head| more.iter().map(move |tail| format!("{head}{tail}"))).collect();
        }
        Some(values)
    }
}

fn characters(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class.iter().map(|range| range.len()).sum();
    if count > MAX_PRODUCT {
        return None;
    }
    Some(class.iter().flat_map(|range| range.start()..=range.end()).map(String::from).collect())
}

/// The pattern as literals, `.*` and `.+`, if it is nothing else.
pub(super) fn pieces(hir: &Hir) -> Option<Vec<Piece>> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().map(piece).collect(),
        _ => Some(vec![piece(hir)?]),
    }
}

fn piece(hir: &Hir) -> Option<Piece> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(Piece::Literal(std::str::from_utf8(&literal.0).ok()?.to_owned())),
        HirKind::Capture(capture) => piece(&capture.sub),
        HirKind::Repetition(r) if r.max.is_none() && is_any(&r.sub) => match r.min {
            0 => Some(Piece::Any),
            1 => Some(Piece::Some),
            _ => None,
        },
        _ => None,
    }
}

fn is_any(hir: &Hir) -> bool {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { return false };
    matches!(class.ranges(), [all] if (all.start(), all.end()) == ('\0', char::MAX))
}

/// What every value that fits begins with.
pub(super) fn prefix(hir: &Hir) -> String {
    let mut current = hir;
    for _ in 0..MAX_DEPTH {
        current = match current.kind() {
            HirKind::Literal(literal) => return std::str::from_utf8(&literal.0).unwrap_or_default().to_owned(),
            HirKind::Capture(capture) => &capture.sub,
            HirKind::Concat(parts) => match parts.iter().find(|p| !matches!(p.kind(), HirKind::Look(Look::Start))) {
                Some(part) => part,
                None => break,
            },
            _ => break,
        };
    }
    String::new()
}
