//! `features`: what expressions of this tenant may say, by the names of Prometheus's own list.

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use limits::PromqlFeatures;
use promql::parser::ast::{AggregateOp, BinaryOp};
use promql::parser::functions::FUNCTIONS;
use serde_json::{Map, Value, json};

use super::{Call, Querying, Tenant, handle, json as write};

/// Modifiers that every expression may use, and what else of the language is no setting.
const ALWAYS: [&str; 13] = [
    "at_modifier",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "negative_offset",
    "offset",
    "on",
    "per_query_lookback_delta",
    "per_step_stats",
    "subqueries",
    "without",
];

/// Operators that are neither binary nor aggregations: of matchers and of selectors. `!=` is a binary one as well.
const OF_SELECTORS: [&str; 3] = ["=~", "!~", "@"];

pub(super) async fn features(State(querier): Querying, Extension(tenant): Tenant, request: Request) -> Response {
    handle(querier, tenant, request, "features", async |call: &Call| {
        let on = call.querier.limits.of(&call.tenant).promql;
        Ok(write::success(&list(on), &[]))
    })
    .await
}

fn list(on: PromqlFeatures) -> Value {
    json!({
        "api": {
            "label_values_match": true,
            "query_stats": true,
            "query_warnings": true,
            "remote_write_receiver": true,
            "time_range_labels": true,
            "time_range_series": true,
        },
        "promql": language(on),
        "promql_functions": FUNCTIONS.iter().map(|f| (f.name.to_owned(), (!f.experimental || on.experimental_functions).into())).collect::<Map<_, _>>(),
        "promql_operators": operators(on),
    })
}

fn language(on: PromqlFeatures) -> Map<String, Value> {
    let settings = [
        ("anchored", on.extended_range_selectors),
        ("smoothed", on.extended_range_selectors),
        ("fill", on.binop_fill_modifiers),
        ("fill_left", on.binop_fill_modifiers),
        ("fill_right", on.binop_fill_modifiers),
        ("duration_expr", on.duration_expressions),
        ("delayed_name_removal", on.delayed_name_removal),
        ("type_and_unit_labels", on.type_and_unit_labels),
    ];
    let always = ALWAYS.into_iter().map(|name| (name, true));
    always.chain(settings).map(|(name, on)| (name.to_owned(), on.into())).collect()
}

fn operators(on: PromqlFeatures) -> Map<String, Value> {
    let plain = BinaryOp::ALL.iter().map(|op| op.symbol()).chain(OF_SELECTORS).map(|symbol| (symbol, true));
    let aggregations = AggregateOp::ALL.iter().map(|op| (op.name(), !op.is_experimental() || on.experimental_functions));
    plain.chain(aggregations).map(|(name, on)| (name.to_owned(), on.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::{PromqlFeatures, list};

    #[test]
    fn settings_turn_features_on() {
        let off = list(PromqlFeatures::default());
        assert_eq!((&off["promql"]["anchored"], &off["promql"]["offset"]), (&false.into(), &true.into()));
        assert_eq!((&off["promql_functions"]["info"], &off["promql_functions"]["rate"]), (&false.into(), &true.into()));
        assert_eq!((&off["promql_operators"]["limitk"], &off["promql_operators"]["</"]), (&false.into(), &true.into()));
        let on = list(PromqlFeatures { experimental_functions: true, extended_range_selectors: true, ..PromqlFeatures::default() });
        for (group, name) in [("promql", "anchored"), ("promql_functions", "info"), ("promql_operators", "limitk")] {
            assert_eq!(on[group][name], true, "{name}");
        }
        assert_eq!(on["promql_functions"].as_object().map(serde_json::Map::len), Some(90));
        assert_eq!(on["promql_operators"].as_object().map(serde_json::Map::len), Some(35));
    }
}
