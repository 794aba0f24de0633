//! An address where nobody listens, for as long as it is wanted.
//!
//! Owns: [`Closed`], a port that is taken and not listened on: whoever connects is refused at once.
//! Refuses: to let go of it before it is dropped, so that no other test can come to listen there.
//! Invariant: the system hands the port to nobody else.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

use super::PATIENCE;

pub struct Closed {
    address: SocketAddr,
    _held: OwnedFd,
}

impl Closed {
    pub fn new() -> Self {
        Self::at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// There, as soon as whoever listens there has gone.
    pub fn at(address: SocketAddr) -> Self {
        let held = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
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
