/** How a peer is reached and why so, as programs see it: the same answer from a node in this process and from a daemon. */
import * as Json from "../core/data/Json.ts"
import type * as Birthday from "../nat/Birthday.ts"
import type * as PathReport from "../nat/PathReport.ts"

/** The way in use, the others, and what would be better (docs/netcheck.md). */
export interface Why {
  readonly kind: PathReport.Kind
  /** `host:port`, `relay`, or empty without a connection. */
  readonly path: string
  readonly rttMs: number | undefined
  /** Part of the segments of open streams that were sent again; `undefined` before any was sent. */
  readonly loss: number | undefined
  readonly encrypted: boolean
  readonly reason: string
  readonly candidates: ReadonlyArray<WhyCandidate>
  /** The last try to guess ports between two translators, if there was any. */
  readonly birthday: WhyBirthday | undefined
  /** What this host's translator is, in a word; `unknown` before anybody looked. */
  readonly nat: string
  readonly advice: ReadonlyArray<string>
}

/** One try: see docs/nat-traversal.md. */
export interface WhyBirthday {
  /** `opener`: the sockets were opened here. `guesser`: this host tried ports of the peer's. */
  readonly role: Birthday.Role
  /** `hit`, `missed`, `running` and the like. */
  readonly outcome: string
  /** Why the peer does not take part; else empty. */
  readonly detail: string
  readonly sockets: number
  /** That this host sent. */
  readonly probes: number
  readonly tookMs: number
}

/** One way to the peer. */
export interface WhyCandidate {
  readonly path: string
  readonly source: string
  readonly verdict: PathReport.Verdict
  readonly inUse: boolean
  /** Since an authenticated frame came by it. */
  readonly heardMsAgo: number | undefined
  readonly sentBytes: number
  readonly receivedBytes: number
  /** Probes of this path, and those answered by it. */
  readonly probesSent: number
  readonly probesAnswered: number
  /** As they measured it; `undefined` before the first answer. */
  readonly rttMs: number | undefined
  /** Of the last sixteen, from 0 to 1; `undefined` while too few are decided. */
  readonly loss: number | undefined
}

/** From the reply to `why`; what a newer daemon says in words of its own is passed on. */
export const ofReply = (reply: Json.JsonObject): Why => ({
  kind: KINDS.find((kind) => kind === Json.string(reply, "kind")) ?? "none",
  path: Json.string(reply, "path"),
  rttMs: number(reply, "rtt_ms"),
  loss: number(reply, "loss"),
  encrypted: Json.boolean(reply, "encrypted"),
  reason: Json.string(reply, "reason"),
  candidates: Json.objects(reply, "candidates").map(candidate),
  birthday: birthday(Json.member(reply, "birthday")),
  nat: Json.string(reply, "nat"),
  advice: Json.strings(reply, "advice")
})

const candidate = (row: Json.JsonObject): WhyCandidate => ({
  path: Json.string(row, "path"),
  source: Json.string(row, "source"),
  verdict: VERDICTS.find((verdict) => verdict === Json.string(row, "verdict")) ?? "untried",
  inUse: Json.boolean(row, "in_use"),
  heardMsAgo: number(row, "heard_ms_ago"),
  sentBytes: Json.integer(row, "sent_bytes"),
  receivedBytes: Json.integer(row, "received_bytes"),
  probesSent: Json.integer(row, "probes_sent"),
  probesAnswered: Json.integer(row, "probes_answered"),
  rttMs: number(row, "rtt_ms"),
  loss: number(row, "loss")
})

const birthday = (row: Json.Json | undefined): WhyBirthday | undefined =>
  Json.isObject(row)
    ? {
        role: Json.string(row, "role") === "guesser" ? "guesser" : "opener",
        outcome: Json.string(row, "outcome"),
        detail: Json.string(row, "detail"),
        sockets: Json.integer(row, "sockets"),
        probes: Json.integer(row, "probes"),
        tookMs: Json.integer(row, "took_ms")
      }
    : undefined

const number = (data: Json.JsonObject, key: string): number | undefined => {
  const value = Json.member(data, key)
  return typeof value === "number" ? value : undefined
}

const KINDS: ReadonlyArray<PathReport.Kind> = ["direct", "hole-punch", "relay", "websocket", "none"]
const VERDICTS: ReadonlyArray<PathReport.Verdict> = ["proven", "silent", "heard", "unanswered", "untried"]
