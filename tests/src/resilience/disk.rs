//! A small disk in memory that can be filled.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::ensure;

use super::zones::run;

/// How much it takes, in MiB. An ingester writes about one a minute here.
const SIZE_MIB: usize = 256;

/// How often what became free is taken.
const TAKES_EVERY: Duration = Duration::from_millis(100);

/// A mounted tmpfs. Dropped, it is gone.
#[derive(Debug)]
pub struct Disk {
    dir: PathBuf,
}

impl Disk {
    /// Mounts it at a folder, which is made.
    pub fn mount(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        run("mount", &["-t", "tmpfs", "-o", &format!("size={SIZE_MIB}m"), "tmpfs", &dir.display().to_string()])?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Takes all the space that is left, and what becomes free, for as long as what is returned lives.
    pub fn fill(&self) -> anyhow::Result<Ballast> {
        let path = self.dir.join("ballast");
        let mut file = File::create(&path)?;
        take_all(&mut file)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let filler = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // What is not taken is seen by its effect: the ingester goes on.
                let _ = take_all(&mut file);
                std::thread::sleep(TAKES_EVERY);
            }
        });
        Ok(Ballast { path, stop, filler: Some(filler) })
    }
}

/// Writes until there is no space, at last in small pieces.
fn take_all(file: &mut File) -> anyhow::Result<()> {
    let block = vec![0_u8; 64 << 10];
    for size in [block.len(), 4096] {
        let part = block.get(..size).unwrap_or_default();
        for written in 0.. {
            ensure!(written * size <= SIZE_MIB << 20, "the disk does not become full");
            match file.write_all(part) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Its processes may still be ending; it ends with them.
        let _ = run("umount", &["--lazy", &self.dir.display().to_string()]);
    }
}

/// What fills a disk. Dropped, its space is free.
#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    filler: Option<JoinHandle<()>>,
}

impl Drop for Ballast {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic of it has been printed.
        let _ = self.filler.take().map(JoinHandle::join);
        // The disk stays full if this fails, and the run says so.
        let _ = std::fs::remove_file(&self.path);
    }
}
