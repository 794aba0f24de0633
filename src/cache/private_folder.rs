//! Folders that only their user can enter.
//!
//! Owns: [`private_folder`].
//! Refuses: links, and folders of other users.
//! Invariant: a folder that it returned for has mode 0700.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::geteuid;

/// Makes the folder with mode 0700, or corrects the mode of the one that is there.
pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    if let Err(error) = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    let meta = fs::symlink_metadata(folder)?;
    if !meta.is_dir() {
        return Err(io::Error::other("is not a folder of its own"));
    }
    if meta.uid() != geteuid().as_raw() {
        return Err(io::Error::other("belongs to another user"));
    }
    if meta.mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
