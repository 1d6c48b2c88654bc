/**
 * One line of the audit log: a JSON object that holds the SHA-256 of the line before it. Some lines are checkpoints, signed
 * by the node: from one on, nothing before it can be changed by whoever lacks the key.
 *
 * ```json
 * {"seq":17,"time":"2026-12-01T08:00:00.000Z","previous":"9f…","kind":"policy.denied","node":2,"key":"4HX2-…","service":"mcp"}
 * ```
 */
import { Option, Schema } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"

/** What can be noted. */
export const KINDS = [
  "node.started",
  "node.stopped",
  "trust.pending",
  "trust.added",
  "trust.rejected",
  "trust.revoked",
  "invitation.made",
  "invitation.redeemed",
  "invitation.revoked",
  "network.joined",
  "network.left",
  "network.revised",
  "key.listed",
  "key.unlisted",
  "key.refused",
  "key.announced",
  "key.cancelled",
  "key.moved",
  "key.accepted",
  "key.forked",
  "key.recovery_enrolled",
  "key.recovery_contested",
  "key.own_contested",
  "security.nonce_replay",
  "policy.loaded",
  "policy.refused",
  "policy.denied",
  "policy.granted",
  "connection.opened",
  "connection.closed",
  "message.stored",
  "file.stored",
  "file.pulled",
  "events.subscribed",
  "mcp.session",
  "mcp.call"
] as const
/** One of them. */
export type Kind = (typeof KINDS)[number]

/** Something that happened. Texts are cut at `TEXT_CHARACTERS_MAX`. */
export interface Entry {
  readonly kind: Kind
  /** Whom it is about, if it is about a peer: its key is noted with it. */
  readonly node?: number | undefined
  readonly facts?: Json.JsonObject
}

/** What the log says of itself. */
export type OwnKind =
  /** A signature over everything before. */
  | "checkpoint"
  /** Whole files were removed, the oldest first; they ended with this line. */
  | "pruned"
  /** A last line that a crash had left unfinished was cut off. */
  | "repaired"
  /** So many entries could not be written. */
  | "lost"
  /** So many entries of a kind came so fast that only their number is kept. */
  | "suppressed"
  /** At this start the log did not hold what had been signed before. */
  | "broken"

/** The beginning of a chain. */
export const ORIGIN: string = "0".repeat(64)

/** The place that a line has. */
export interface Place {
  readonly seq: number
  readonly time: string
  readonly previous: string
}

/** A line, without its newline. */
export const encode = ({ previous, seq, time }: Place, kind: Kind | OwnKind, facts: Json.JsonObject): string =>
  JSON.stringify({ seq, time, previous, kind, ...facts })

/** A line that was read. */
export interface Line extends Place {
  readonly kind: string
  /** The whole object. */
  readonly facts: Json.JsonObject
}

/** Undefined if the text is no line of a log. */
export const decode = (text: string): Line | undefined => {
  if (text.length > LINE_CHARACTERS_MAX) return undefined
  const facts = Json.parseObject(text)
  const head = Option.getOrUndefined(decodeHead(facts))
  return facts === undefined || head === undefined ? undefined : { ...head, facts }
}

/** What a checkpoint signs: its place, and with `previous` everything before it. */
export const checkpointText = ({ previous, seq, time }: Place): Uint8Array =>
  Bytes.fromUtf8(`effect-pilot audit checkpoint v1\n${seq}\n${time}\n${previous}\n`)

/** What the file beside the log signs: the last checkpoint, so that a log that ends before it is known to be cut. */
export const headText = (seq: number, hash: string): Uint8Array =>
  Bytes.fromUtf8(`effect-pilot audit head v1\n${seq}\n${hash}\n`)

/** The last checkpoint, as the file beside the log holds it. */
export const Head = Schema.Struct({
  seq: Schema.Int,
  /** Of the checkpoint's line. */
  hash: Schema.String,
  publicKey: Schema.String,
  signature: Schema.String
})
/** The last checkpoint. */
export type Head = typeof Head.Type

const decodeHead = Schema.decodeUnknownOption(
  Schema.Struct({
    seq: Schema.Int.check(Schema.isGreaterThan(0)),
    time: Schema.String,
    previous: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
    kind: Schema.String
  })
)

/** Of one text in an entry. */
export const TEXT_CHARACTERS_MAX = 1024
/** Arguments of a call that somebody wants kept are longer than other texts. */
export const LINE_CHARACTERS_MAX = 65_536
