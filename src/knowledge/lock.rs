//! One writer per journal: an operating-system lock on a file beside it, released when the process ends,
//! however it ends.

use super::journal::JournalError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Holds the lock while it lives.
#[derive(Debug)]
pub(super) struct WriterLock {
    file: File,
}

/// The lock file of a journal: the same name with `.lock` behind it.
pub(super) fn path_of(journal: &Path) -> PathBuf {
    let mut name = journal.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

impl WriterLock {
    /// Takes the lock without waiting. [`JournalError::Held`] names the process that has it.
    pub(super) fn take(journal: &Path) -> Result<Self, JournalError> {
        let path = path_of(journal);
        let io = |source| JournalError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(JournalError::Held { path: journal.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        // The process id is only for people; the lock itself is the kernel's.
        file.set_len(0).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { file })
    }

    /// A second descriptor of the same open file, which is what a forked child has.
    #[cfg(test)]
    pub(super) fn shared(&self) -> File {
        self.file.try_clone().expect("a descriptor")
    }
}

impl Drop for WriterLock {
    /// Gives it back by name. Closing the file alone would leave it to any child process that was just being
    /// started and still shares the descriptor until it runs its own program.
    fn drop(&mut self) {
        // Nothing to do about an error: closing the file, which follows, is the other way.
        let _ = self.file.unlock();
    }
}
