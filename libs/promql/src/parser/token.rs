//! Tokens and how error texts call them.

use model::matcher::quote;

use super::ast::{AggregateOp, BinaryOp, TextSpan};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Eof,
    Comment,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Identifier,
    /// An identifier with a colon.
    MetricIdentifier,
    Number,
    Duration,
    String,
    /// `=`
    Assign,
    /// `=~`
    RegexMatch,
    /// `!~`
    RegexMismatch,
    At,
    Operator(BinaryOp),
    Aggregator(AggregateOp),
    Keyword(Keyword),
    /// `start`, `end`, `step`, `range`, `max_of`, `min_of`: names that are functions, metrics, and words of modifiers.
    Word(Word),
}

/// Keywords that are no operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Bool,
    By,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Ignoring,
    Offset,
    Smoothed,
    Anchored,
    On,
    Without,
}

/// Names with a meaning in `@` modifiers and duration expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// A token and the bytes it was read from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: TextSpan,
}

impl TokenKind {
    /// Whether the word may be a metric name outside of braces.
    pub(super) fn may_be_metric(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) | Self::Word(_) => true,
            Self::Operator(op) => matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless),
            Self::Keyword(k) => !matches!(k, Keyword::Bool | Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight),
            _ => false,
        }
    }

    /// Whether the word may be a label in `by (…)`, `on (…)` and their like.
    pub(super) fn may_be_label(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) | Self::Word(_) => true,
            Self::Operator(op) => matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2),
            Self::Keyword(k) => k != Keyword::Without,
            _ => false,
        }
    }

    /// Whether the word, followed by `(`, is a function call.
    pub(super) fn may_be_function(self) -> bool {
        matches!(self, Self::Identifier | Self::Word(_))
    }

    /// The token in an error text; `text` is how it was written.
    pub(super) fn describe(self, text: &str) -> String {
        match self {
            Self::Eof => "end of input".to_owned(),
            Self::Identifier => format!("identifier {}", quote(text)),
            Self::MetricIdentifier => format!("metric identifier {}", quote(text)),
            Self::Number => format!("number {}", quote_short(text)),
            Self::Duration => format!("duration {}", quote_short(text)),
            Self::String => format!("string {}", quote_short(text)),
            Self::Keyword(_) => format!("<{text}>"),
            Self::Operator(_) | Self::RegexMatch | Self::RegexMismatch | Self::At => format!("<op:{text}>"),
            Self::Aggregator(_) => format!("<aggr:{text}>"),
            _ => quote_short(text),
        }
    }
}

/// Long literals are cut after ten characters.
fn quote_short(text: &str) -> String {
    if text.len() <= 10 {
        return quote(text);
    }
    let head: String = text.chars().take(10).collect();
    format!("{}...", quote(&head))
}

/// The keyword of that spelling, in any case.
pub(super) fn keyword(word: &str) -> Option<TokenKind> {
    use TokenKind::{Aggregator, Keyword as K, Operator, Word as W};
    const LONGEST: usize = "count_values".len();
    if word.len() > LONGEST {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "and" => Operator(BinaryOp::And),
        "or" => Operator(BinaryOp::Or),
        "unless" => Operator(BinaryOp::Unless),
        "atan2" => Operator(BinaryOp::Atan2),
        "offset" => K(Keyword::Offset),
        "smoothed" => K(Keyword::Smoothed),
        "anchored" => K(Keyword::Anchored),
        "by" => K(Keyword::By),
        "without" => K(Keyword::Without),
        "on" => K(Keyword::On),
        "ignoring" => K(Keyword::Ignoring),
        "group_left" => K(Keyword::GroupLeft),
        "group_right" => K(Keyword::GroupRight),
        "fill" => K(Keyword::Fill),
        "fill_left" => K(Keyword::FillLeft),
        "fill_right" => K(Keyword::FillRight),
        "bool" => K(Keyword::Bool),
        "start" => W(Word::Start),
        "end" => W(Word::End),
        "step" => W(Word::Step),
        "range" => W(Word::Range),
        "max_of" => W(Word::MaxOf),
        "min_of" => W(Word::MinOf),
        "inf" | "nan" => TokenKind::Number,
        other => return AggregateOp::from_name(other).map(Aggregator),
    })
}

/// The words that brackets know.
pub(super) fn duration_word(word: &str) -> Option<TokenKind> {
    match keyword(word) {
        Some(TokenKind::Word(Word::Start | Word::End)) => None,
        Some(kind @ TokenKind::Word(_)) => Some(kind),
        _ => None,
    }
}
