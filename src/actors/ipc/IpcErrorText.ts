/** Words that a daemon's error texts carry for programs; the protocol has only text (node §1.4). */

/** A registry that could not be asked, after `registry: `; one that refuses says so without it. */
export const UNAVAILABLE = "unavailable: "

/** Before the sentence about a name that is of several rendezvous, or of one that is not known here. */
export const RENDEZVOUS = "rendezvous: "

/** The event that a client which knows ends is told of a stream that was reset, before its CloseOK. */
export const RESET_EVENT = "stream.reset"
