/**
 * The states of a stream (RFC 9293 §3.3.2) with the differences that wire §9.3 makes: a FIN is answered by FIN|ACK
 * rather than by an acknowledgement of its own number, and unless both ends have announced half-close one FIN ends both
 * directions. FIN-WAIT-1, FIN-WAIT-2, CLOSING and LAST-ACK are therefore one state, `finWait`: "closed here, the peer's
 * end is awaited".
 *
 * ```
 *  closed ─Dial→ synSent ─SynAckReceived→ established ─Close→ finWait ─Finished→ timeWait ─TimeWaitExpired→ closed
 *  closed ─Listen→ listen ─SynReceived→ synReceived ─AckReceived→ established ─FinReceived→ closeWait ─Close→ finWait
 * ```
 */

/** Where a stream is; the words of RFC 9293. */
export type ConnectionState =
  | "closed"
  | "listen"
  | "synSent"
  | "synReceived"
  | "established"
  | "finWait"
  | "closeWait"
  | "timeWait"

/**
 * Why a stream ended otherwise than by its end. Refused: a reset answered the SYN. Reset: a reset came later. Timeout: the
 * peer was silent too long. Aborted: `reset` was called. Truncated: the peer's end came, data before it never did.
 * Restarted: the peer does not know the stream any more. Violated: the peer sent data behind its own end.
 */
export type ConnectionFailure = "Refused" | "Reset" | "Timeout" | "Aborted" | "Truncated" | "Restarted" | "Violated"

/** What moves it. `FinReceived` is the peer's FIN in order with half-close; `Finished` means both directions ended. */
export type ConnectionInput =
  | "Dial"
  | "Listen"
  | "SynReceived"
  | "SynAckReceived"
  | "AckReceived"
  | "Close"
  | "FinReceived"
  | "Finished"
  | "ResetReceived"
  | "Abort"
  | "TimeWaitExpired"

/** The state after an input. Total: an input that means nothing in a state leaves it as it is. */
export const next = (state: ConnectionState, input: ConnectionInput): ConnectionState =>
  TRANSITIONS[state][input] ?? state

/** The name that status output shows (node §1.7). */
export const label = (state: ConnectionState): string => LABELS[state]

/** The application may still hand over bytes to send. */
export const canWrite = (state: ConnectionState): boolean =>
  state === "synSent" || state === "synReceived" || state === "established" || state === "closeWait"

/** Data segments may be exchanged. The responder counts from its SYN-ACK on (wire §9.2). */
export const isSynchronized = (state: ConnectionState): boolean =>
  state === "established" || state === "synReceived" || state === "finWait" || state === "closeWait"

/** Every state, in the order of a life. */
export const states: ReadonlyArray<ConnectionState> = [
  "closed",
  "listen",
  "synSent",
  "synReceived",
  "established",
  "finWait",
  "closeWait",
  "timeWait"
]

/** Every input. */
export const inputs: ReadonlyArray<ConnectionInput> = [
  "Dial",
  "Listen",
  "SynReceived",
  "SynAckReceived",
  "AckReceived",
  "Close",
  "FinReceived",
  "Finished",
  "ResetReceived",
  "Abort",
  "TimeWaitExpired"
]

type Row = Partial<Readonly<Record<ConnectionInput, ConnectionState>>>

const TRANSITIONS: Readonly<Record<ConnectionState, Row>> = {
  // RFC 9293 §3.10.1 OPEN.
  closed: { Dial: "synSent", Listen: "listen" },
  // RFC 9293 §3.10.7.2; CLOSE and ABORT §3.10.4, §3.10.5.
  listen: { SynReceived: "synReceived", Close: "closed", Abort: "closed" },
  // RFC 9293 §3.10.7.3; a reset here is "refused" (wire §9.2).
  synSent: { SynAckReceived: "established", Close: "closed", ResetReceived: "closed", Abort: "closed" },
  // RFC 9293 §3.10.7.4. A FIN may overtake the handshake's last ACK.
  synReceived: {
    AckReceived: "established",
    Close: "finWait",
    FinReceived: "closeWait",
    Finished: "timeWait",
    ResetReceived: "closed",
    Abort: "closed"
  },
  // RFC 9293 §3.10.4, §3.10.7.4; wire §9.3, §9.4.
  established: {
    Close: "finWait",
    FinReceived: "closeWait",
    Finished: "timeWait",
    ResetReceived: "closed",
    Abort: "closed"
  },
  finWait: { Finished: "timeWait", ResetReceived: "closed", Abort: "closed" },
  closeWait: { Close: "finWait", Finished: "timeWait", ResetReceived: "closed", Abort: "closed" },
  // Any reset removes the entry (wire §9.3, last rows).
  timeWait: { TimeWaitExpired: "closed", ResetReceived: "closed", Abort: "closed" }
}

const LABELS: Readonly<Record<ConnectionState, string>> = {
  closed: "CLOSED",
  listen: "LISTEN",
  synSent: "SYN_SENT",
  synReceived: "SYN_RECV",
  established: "ESTABLISHED",
  finWait: "FIN_WAIT",
  closeWait: "CLOSE_WAIT",
  timeWait: "TIME_WAIT"
}
