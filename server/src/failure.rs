//! What the operator reads when the server cannot start or go on: a sentence, and what to do.
#![expect(clippy::print_stderr, reason = "the log may not be there, or be for machines")]

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use flambeau_edge::http::StartError;

/// An address of the configuration cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {what} on {protocol} {address} ({key})")]
pub(crate) struct CannotListen {
    /// What would have come in: `SRT in`, `HTTP`.
    pub(crate) what: &'static str,
    /// `udp` or `tcp`.
    pub(crate) protocol: &'static str,
    /// The address.
    pub(crate) address: SocketAddr,
    /// The key of the configuration that says it: `ingest.srt.listen`.
    pub(crate) key: &'static str,
    /// Why.
    pub(crate) source: io::Error,
}

/// Prints the error and its causes on stderr, and a remedy where one is known. Exit code 1.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever piped our output into `head` has seen enough.
    if io_error(error).is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error:#}");
    if let Some(remedy) = remedy(error) {
        eprintln!("    {remedy}");
    }
    ExitCode::FAILURE
}

/// What to do about the error.
fn remedy(error: &anyhow::Error) -> Option<String> {
    if let Some(error) = error.downcast_ref::<StartError>() {
        return error.remedy();
    }
    let kind = io_error(error)?.kind();
    let Some(CannotListen { protocol, address, key, .. }) = error.downcast_ref() else {
        return (kind == io::ErrorKind::AddrInUse)
            .then(|| "another program has the address: stop it, or give this one another".to_owned());
    };
    let port = address.port();
    match kind {
        io::ErrorKind::AddrInUse => Some(format!(
            "another program has the port, perhaps another flambeau: `ss -lp --{protocol} 'sport = :{port}'` \
             names it. Stop it, or choose another port as {key}",
        )),
        io::ErrorKind::AddrNotAvailable => Some(format!(
            "this machine has no address {}: `ip address` lists those it has. Choose one of them as {key}, or \
             \"0.0.0.0:{port}\" for each",
            address.ip(),
        )),
        io::ErrorKind::PermissionDenied => Some(format!(
            "a port below 1024 is for root: choose a higher one as {key}, or give the program \
             CAP_NET_BIND_SERVICE",
        )),
        _ => None,
    }
}

fn io_error(error: &anyhow::Error) -> Option<&io::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_key_and_remedy() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = held.local_addr().expect("it is bound");
        let source = std::net::TcpListener::bind(address).expect_err("the port is taken");
        let failure =
            CannotListen { what: "HTTP", protocol: "tcp", address, key: "edge.http.listen", source };
        let error = anyhow::Error::new(failure).context("the edge cannot start");
        let sentence = format!("{error:#}");
        assert!(sentence.contains(&format!("HTTP on tcp {address} (edge.http.listen): ")), "{sentence}");
        let remedy = remedy(&error).expect("a remedy");
        assert!(remedy.contains(&format!("ss -lp --tcp 'sport = :{}'", address.port())), "{remedy}");
        assert!(remedy.contains("edge.http.listen"), "{remedy}");
    }

    #[test]
    fn an_error_without_a_known_remedy_has_none() {
        assert_eq!(remedy(&anyhow::anyhow!("the moon is full")), None);
    }
}
