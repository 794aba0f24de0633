//! An address without a listener, for as long as it is wanted.
//!
//! Owns: [`Closed`], a port that is taken and not listened on: connections are refused at once.
//! Refuses: to let go of it before it is dropped, so that no other test can come to listen there.
//! Invariant: the system gives the port to no other process.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

use super::PATIENCE;

pub struct Closed {
    address: SocketAddr,
    _held: OwnedFd,
}

impl Closed {
    pub fn new() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Taken as soon as the present listener has gone.
    pub fn at(address: SocketAddr) -> Self {
        let kind = (AddressFamily::INET, SocketType::STREAM);
        // Not handed on to programs that other tests start meanwhile.
        let held = socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None).unwrap();
        // Connections of the past do not keep a port.
        sockopt::set_socket_reuseaddr(&held, address.port() != 0).unwrap();
        let end = Instant::now() + PATIENCE;
        while let Err(error) = bind(&held, &address) {
            assert!(Instant::now() < end, "{address}: {error}");
            std::thread::yield_now();
        }
        Self {
            address: getsockname(&held).unwrap().try_into().unwrap(),
            _held: held,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a provider's address.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}
