//! A machine that stops in the middle of a change, and what it may find when it is back.

use std::io;
use std::path::{Path, PathBuf};

use super::{Contents, EIO, FaultyFs, State};

/// What undoes a change of a name that the disk does not have yet.
#[derive(Debug, Clone)]
pub(super) enum Undo {
    Created(PathBuf),
    Removed(PathBuf, Contents),
    /// A file; `name` is that of itself or of the folder above it that was renamed.
    Renamed {
        from: PathBuf,
        to: PathBuf,
        name: PathBuf,
        replaced: Option<Contents>,
    },
}

impl Undo {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Created(path) | Self::Removed(path, _) | Self::Renamed { name: path, .. } => path,
        }
    }

    /// Whether both are files of a folder that was renamed once.
    fn is_of_one_folder_with(&self, other: &Self) -> bool {
        let folder = |undo: &Self| match undo {
            Self::Renamed { to, name, .. } if to != name => Some(name.clone()),
            _ => None,
        };
        folder(self).is_some() && folder(self) == folder(other)
    }

    fn apply(self, state: &mut State) {
        match self {
            Self::Created(path) => {
                state.files.remove(&path);
            }
            Self::Removed(path, contents) => {
                state.files.insert(path, contents);
            }
            Self::Renamed { from, to, replaced, .. } => {
                if let Some(contents) = state.files.remove(&to) {
                    state.files.insert(from, contents);
                }
                if let Some(contents) = replaced {
                    state.files.insert(to, contents);
                }
            }
        }
    }
}

impl State {
    /// Counts a change; an error from the one on at which the machine stops.
    pub(super) fn step(&mut self) -> io::Result<()> {
        match &mut self.until_stop {
            _ if self.stopped => {}
            None => return Ok(()),
            Some(0) => self.stopped = true,
            Some(left) => {
                *left -= 1;
                return Ok(());
            }
        }
        Err(io::Error::from_raw_os_error(EIO))
    }
}

impl FaultyFs {
    /// Stops the machine at a change (a write, sync, new or other name) after so many more: that one, if it is a write, is done to `torn_part` parts of
    /// 256; it and all later ones are errors and do nothing. What is there then: [`FaultyFs::after_kill`], [`FaultyFs::after_power_cut`], [`FaultyFs::after_torn_power_cut`].
    pub fn stop_after(&self, changes: u64, torn_part: u8) {
        let mut state = self.0.lock();
        (state.until_stop, state.torn_part) = (Some(changes), torn_part);
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.0.lock().stopped
    }

    /// What a machine may find after a power cut: of each file what was synced and any part of the rest, which may be scrambled; names that were
    /// changed after some moment since the folder was synced are as they were before. `random` gives numbers below its argument.
    #[must_use]
    pub fn after_torn_power_cut(&self, mut random: impl FnMut(usize) -> usize) -> Self {
        let names = self.0.lock().names.clone();
        let copy = self.after_kill();
        let mut state = copy.0.lock();
        let mut kept = random(names.len() + 1);
        // A folder gets its name as a whole.
        while names.get(kept).zip(names.get(kept.wrapping_sub(1))).is_some_and(|(next, last)| next.is_of_one_folder_with(last)) {
            kept += 1;
        }
        for undo in names.into_iter().skip(kept).rev() {
            undo.apply(&mut state);
        }
        for file in state.files.values_mut() {
            let unsynced = file.bytes.len() - file.durable;
            file.bytes.truncate(file.durable + random(unsynced + 1));
            if random(3) == 0 {
                // Sectors that were not written yet.
                let scrambled = random(file.bytes.len() - file.durable + 1);
                let from = file.bytes.len() - scrambled;
                file.bytes.iter_mut().skip(from).for_each(|byte| *byte ^= random(256) as u8);
            }
            file.durable = file.bytes.len();
        }
        drop(state);
        copy
    }
}
