//! What concerns several keys at once.

use super::*;

#[test]
fn a_duplicate_id_names_the_line_of_the_first() {
    has_one(
        "[[feeds]]\nid = \"a\"\npassphrase = \"0123456789\"\n[[feeds]]\nid = \"a\"\npassphrase = \"0123456789\"",
        "5:6 error feeds[1].id: the id \"a\" is taken: feeds[0] on line 2 has it | give one of the two another id, or \
         remove it",
    );
}

#[test]
fn a_channel_of_no_feed_is_an_error() {
    has_one(
        "[[channels]]\nid = \"c\"\nfeed = \"fin\"",
        "3:8 error channels[0].feed: there is no Feed \"fin\" | did you mean \"fine\"?",
    );
}

const RTX: &str = "[[broadcasters]]\nid = \"rtx\"\npassphrase = \"0123456789\"\ntoken = \"0123456789\"\n";

#[test]
fn an_entitlement_of_an_unknown_broadcaster_is_an_error() {
    has_one(
        "[[entitlements]]\nbroadcaster = \"rtx\"\nfeeds = [\"fine\"]",
        "2:15 error entitlements[0].broadcaster: there is no broadcaster \"rtx\" | add [[broadcasters]] with id = \
         \"rtx\"; there are: none",
    );
}

#[test]
fn a_pattern_that_names_nothing_is_a_warning() {
    has_one(
        &format!("{RTX}[[entitlements]]\nbroadcaster = \"*\"\nfeeds = [\"f*\", \"swim-*\"]"),
        "7:16 warning entitlements[0].feeds[1]: \"swim-*\" is the name of no Feed here | there are: fine",
    );
    has_one(
        &format!("{RTX}[[entitlements]]\nbroadcaster = \"rtx\""),
        "5:1 warning entitlements[0]: it grants nothing | add feeds = [\"NAME\"] or channels = [\"NAME\"]",
    );
}

#[test]
fn a_port_used_twice_is_an_error_on_the_same_protocol_only() {
    has_one(
        "[edge.srt]\nlisten = \"127.0.0.1:9000\"",
        "2:10 error edge.srt.listen: udp port 9000 is that of ingest.srt.listen too | give edge.srt.listen or \
         ingest.srt.listen another port",
    );
    has_one(
        "[ingest.srt]\nlisten = \"127.0.0.1:9001\"",
        "2:10 error ingest.srt.listen: udp port 9001 is that of edge.srt.listen too | give ingest.srt.listen or \
         edge.srt.listen another port",
    );
    let apart = "[edge.http]\nlisten = \"0.0.0.0:9000\"\n[edge.srt]\nlisten = \"127.0.0.2:9000\"\n[ingest.srt]\n\
                 listen = \"127.0.0.1:9000\"\n[[feeds]]\nid = \"a\"\npassphrase = \"0123456789\"\n";
    assert_eq!(found(apart), [""; 0]);
}

#[test]
fn a_part_is_shorter_than_a_segment() {
    has_one(
        "[packager]\npart = \"2s\"",
        "2:8 error packager.part: a Part (2s) is not shorter than a Segment (2s) | choose a part of a tenth of the \
         segment: \"200ms\" for \"2s\"",
    );
}

#[test]
fn a_window_holds_three_segments() {
    has_one(
        "[packager]\nwindow = \"5s\"",
        "2:10 error packager.window: a window of 5s is less than three Segments of 2s | choose a window of 6s or \
         more, or shorter Segments",
    );
    has_one(
        "[packager]\nwindow = \"1m\"\n[[channels]]\nid = \"c\"\nfeed = \"fine\"\nsegment = \"30s\"",
        "6:11 error channels[0].segment: a window of 1m is less than three Segments of 30s | choose a window of 1m30s \
         or more, or shorter Segments",
    );
}

#[test]
fn a_history_is_at_least_the_latency() {
    has_only(
        "[edge.srt]\nlatency = \"8s\"\n[[feeds]]\nid = \"a\"\npassphrase = \"0123456789\"\nhistory = \"2s\"\n",
        "6:11 error feeds[0].history: a history of 2s is shorter than the latency of 8s (edge.srt.latency) | choose a \
         history of 8s or more: a retransmission is read from it",
    );
    has_only(
        "[ingest.srt]\nlatency = \"8s\"\n[[feeds]]\nid = \"a\"\npassphrase = \"0123456789\"\n",
        "3:1 error feeds[0].history: a history of 5s is shorter than the latency of 8s (ingest.srt.latency) | choose a \
         history of 8s or more: a retransmission is read from it",
    );
}

#[test]
fn an_admin_listener_that_others_reach_asks_for_a_token() {
    has_one(
        "[admin]\nlisten = \"0.0.0.0:8081\"",
        "2:10 error admin.listen: 0.0.0.0:8081 can be reached from other machines, and there is no token to ask for | \
         give [admin] a token or token_file, or bind it to loopback, \"127.0.0.1:8081\"",
    );
    has_one(
        "[admin]\nlisten = \"0.0.0.0:8081\"\ntoken = \"0123456789\"",
        "2:10 warning admin.listen: 0.0.0.0:8081 can be reached from other machines, without TLS: the token can be \
         read | bind it to loopback, \"127.0.0.1:8081\", and reach it through a tunnel or a proxy that has TLS",
    );
}

#[test]
fn what_has_no_secret_is_a_warning() {
    has_only(
        "[[feeds]]\nid = \"a\"\n",
        "2:6 warning feeds[0].id: a has no passphrase: anyone who can reach the port may publish it | give it a \
         passphrase or passphrase_file, or the networks it may come from as sources",
    );
    assert_eq!(found("[ingest.srt]\npassphrase = \"0123456789\"\n[[feeds]]\nid = \"a\"\n"), [""; 0]);
    assert_eq!(found("[[feeds]]\nid = \"a\"\nsources = [\"192.0.2.1\"]\n"), [""; 0]);
    let bare = "[[broadcasters]]\nid = \"rtx\"\n[[entitlements]]\nbroadcaster = \"rtx\"\nfeeds = [\"fine\"]\n\
                [[feeds]]\nid = \"fine\"\npassphrase = \"0123456789\"\n";
    assert_eq!(
        found(bare),
        [
            "2:6 warning broadcasters[0].id: rtx has no passphrase: whoever knows its name may pull its Feeds over \
             SRT, in the clear | give it a passphrase or passphrase_file",
            "2:6 warning broadcasters[0].id: rtx has no token: whoever knows its name may watch its Channels over \
             HTTP | give it a token or token_file",
        ]
    );
    has_one(
        RTX,
        "2:6 warning broadcasters[0].id: rtx has no Entitlement: it may take nothing that is not public | add \
         [[entitlements]] with broadcaster = \"rtx\"",
    );
}

#[test]
fn a_token_names_one_broadcaster() {
    let other = RTX.replace("rtx", "bbx");
    has_one(
        &format!("{RTX}{other}[[entitlements]]\nbroadcaster = \"*\"\nfeeds = [\"*\"]"),
        "8:9 error broadcasters[1].token: the token is that of rtx (broadcasters[0]) too: it cannot tell who asks | \
         give each broadcaster a token of its own",
    );
}
