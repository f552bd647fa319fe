//! Where rules come from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::TenantId;
use promql::ParseOptions;

use crate::rule_file::{self, RuleGroup};

/// Rule files of all patterns together.
const MAX_FILES: usize = 10_000;

/// The groups of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    /// Whose rules these are.
    pub tenant: TenantId,
    /// The file's name, which with a group's name identifies it.
    pub file: Arc<str>,
    /// Its groups.
    pub groups: Vec<Arc<RuleGroup>>,
}

/// A place from which rules are loaded, again and again.
pub trait RuleSource: Send + Sync + 'static {
    /// All rules as they are now; or all that is wrong with them, and then those loaded before stay in force. May block on a disk.
    fn load(&self) -> Result<Vec<RuleSet>, Vec<String>>;
}

/// Rule files on the local disk, by patterns.
#[derive(Debug, Clone)]
pub struct FileSource {
    tenant: TenantId,
    patterns: Vec<PathBuf>,
    options: ParseOptions,
}

impl FileSource {
    /// Files that match any of the patterns (`*`, `?`, `[…]`).
    #[must_use]
    pub fn new(tenant: TenantId, patterns: &[String], options: ParseOptions) -> Self {
        Self { tenant, patterns: patterns.iter().map(PathBuf::from).collect(), options }
    }
}

impl RuleSource for FileSource {
    fn load(&self) -> Result<Vec<RuleSet>, Vec<String>> {
        let mut files = Vec::new();
        let mut errors = Vec::new();
        for pattern in &self.patterns {
            match expand_pattern(pattern) {
                Ok(found) => files.extend(found),
                Err(error) => errors.push(error),
            }
        }
        files.sort();
        files.dedup();
        if files.len() > MAX_FILES {
            errors.push(format!("ruler.rule_files match {} files, at most {MAX_FILES} are read", files.len()));
        }
        let mut sets = Vec::new();
        for path in files.iter().take(MAX_FILES) {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| vec![e.to_string()]);
            match text.and_then(|text| rule_file::parse(&text, &self.options)) {
                Ok(groups) => {
                    let groups = groups.into_iter().map(Arc::new).collect();
                    sets.push(RuleSet { tenant: self.tenant.clone(), file: name.into(), groups });
                }
                Err(problems) => errors.extend(problems.into_iter().map(|e| format!("{name}: {e}"))),
            }
        }
        if errors.is_empty() { Ok(sets) } else { Err(errors) }
    }
}

/// The files that match a pattern, sorted.
pub(crate) fn expand_pattern(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let text = pattern.to_str().ok_or_else(|| format!("the pattern {} is not UTF-8", pattern.display()))?;
    let paths = glob::glob(text).map_err(|e| format!("the pattern {text:?} of rule files: {e}"))?;
    Ok(paths.filter_map(Result::ok).take(MAX_FILES + 1).collect())
}
