/** The `Trust` service: who may reach this node and who asks to, whoever runs the node. `Trust.ts` is its face for users. */
import { Context, Duration, Effect, Result, Schedule, Schema, Stream } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import * as Provided from "../core/actor/Provided.ts"
import * as Json from "../core/data/Json.ts"
import * as Address from "../protocol/wire/Address.ts"
import * as Peer from "./Peer.ts"
import type { Pilot, PilotError } from "./PilotService.ts"

/** The node said no, in its words, or it cannot be asked. */
export class TrustError extends Schema.TaggedError<TrustError>()("TrustError", {
  reason: Schema.Literals(["Refused", "Unreachable"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** A peer that this node trusts. */
export interface Trusted {
  readonly node: number
  /** Ed25519, base64. */
  readonly publicKey: string
  readonly fingerprint: string
  /** Each of both has asked the other; false where one asked and the other approved. */
  readonly isMutual: boolean
  readonly approvedAt: Date
}

/** A peer that asks for trust. What it says of itself is untrusted text. */
export interface Pending {
  readonly node: number
  /** Empty while its key is not known. */
  readonly fingerprint: string
  readonly justification: string
  readonly receivedAt: Date
}

/** What happened to the trust of this node. */
export type Change =
  | { readonly _tag: "Asked"; readonly pending: Pending }
  /** Also when the key of a trusted peer has changed as its chain allows. */
  | { readonly _tag: "Approved"; readonly trusted: Trusted }
  /** A request is answered or gone, without trust. */
  | { readonly _tag: "Declined"; readonly node: number }
  | { readonly _tag: "Revoked"; readonly node: number }

/** What an invitation allows. */
export interface InviteOptions {
  /** A day unless told otherwise. */
  readonly life?: Duration.Input
  /** How many keys may come in with it; 1 unless told otherwise. */
  readonly uses?: number
  /** Names of exposed MCP servers that it opens. */
  readonly services?: ReadonlyArray<string>
  /** The fingerprint of the only key that may redeem it. */
  readonly for?: string
  /** For one's own list. */
  readonly note?: string
}

/** An invitation that was made; `text` is shown once. */
export interface Invited {
  readonly id: string
  readonly text: string
  readonly expiresAt: Date
}

/** One's own invitations, as they stand. */
export interface Invitation {
  readonly id: string
  readonly state: string
  readonly uses: number
  readonly usesMax: number
  readonly services: ReadonlyArray<string>
  readonly note: string
  readonly expiresAt: Date
}

/** Where an invitation led. */
export interface Redeemed {
  readonly node: number
  readonly address: string
  readonly hostname: string
  readonly fingerprint: string
  readonly status: "sent" | "already_trusted"
}

/** Why there is no answer: the node says no, or the peer that was named is not known. */
export type Failure = DialError | Peer.NoSuchPeer | PilotError | TrustError

type Who = string | number | Peer.Selector

/** The trust of a node. */
export class Trust extends Context.Service<
  Trust,
  {
    readonly list: Effect.Effect<ReadonlyArray<Trusted>, TrustError>
    readonly pending: Effect.Effect<ReadonlyArray<Pending>, TrustError>
    /** Looked for twice a second; begins with what is asked and trusted already. */
    readonly watch: Stream.Stream<Change, TrustError>
    /** Asks a peer for trust; returns when the request is on its way. */
    readonly request: (peer: Who, justification?: string) => Effect.Effect<"sent" | "already_trusted", Failure>
    /** False when nothing was pending. With a fingerprint, only that key is let in. */
    readonly approve: (peer: Who, fingerprint?: string) => Effect.Effect<boolean, Failure>
    /** False when nothing was pending. */
    readonly reject: (peer: Who, reason?: string) => Effect.Effect<boolean, Failure>
    readonly revoke: (peer: Who) => Effect.Effect<void, Failure>
    readonly invite: (options?: InviteOptions) => Effect.Effect<Invited, TrustError>
    /** The oldest first; those that ended stay for a while. */
    readonly invitations: Effect.Effect<ReadonlyArray<Invitation>, TrustError>
    /** False when it is not known. Who came in with it stays trusted. */
    readonly revokeInvitation: (id: string) => Effect.Effect<boolean, TrustError>
    /** Asks the node that made it, which needs nobody to answer. `text` is for the person there. */
    readonly redeem: (invitation: string, text?: string) => Effect.Effect<Redeemed, TrustError>
  }
>()("effect-pilot/api/Trust") {}

/** The operations, as the daemon's socket has them; a node in this process performs the same. */
export interface Operations {
  readonly pending: Effect.Effect<Json.JsonObject, TrustError>
  readonly trusted: Effect.Effect<Json.JsonObject, TrustError>
  readonly request: (node: Address.NodeId, justification: string) => Effect.Effect<Json.JsonObject, TrustError>
  readonly approve: (
    node: Address.NodeId,
    fingerprint: string | undefined
  ) => Effect.Effect<Json.JsonObject, TrustError>
  readonly reject: (node: Address.NodeId, reason: string) => Effect.Effect<Json.JsonObject, TrustError>
  readonly revoke: (node: Address.NodeId) => Effect.Effect<unknown, TrustError>
  /** `invite.create`, `.list`, `.revoke`, `.redeem` (see `IpcTrust`). */
  readonly invitation: (op: string, value: Json.JsonObject) => Effect.Effect<Json.JsonObject, TrustError>
}

/** The service on those operations. */
export const make = Effect.fnUntraced(function* (
  operations: Operations
): Effect.fn.Return<Trust["Service"], never, Pilot> {
  const context = yield* Provided.services<Pilot>()
  const { invitation } = operations
  const nodeOf = (who: Who) => Effect.provideContext(locate(who), context)
  const list = Effect.map(operations.trusted, (reply) => Json.objects(reply, "trusted").map(trustedOf))
  const pending = Effect.map(operations.pending, (reply) => Json.objects(reply, "pending").map(pendingOf))
  return {
    list,
    pending,
    watch: watching(Effect.all({ list, pending })),
    request: Effect.fn("Trust.request")(function* (who, justification = "") {
      const reply = yield* operations.request(yield* nodeOf(who), justification)
      return Json.string(reply, "status") === "already_trusted" ? "already_trusted" : "sent"
    }),
    approve: Effect.fn("Trust.approve")(function* (who, fingerprint) {
      return isKnown(yield* operations.approve(yield* nodeOf(who), fingerprint))
    }),
    reject: Effect.fn("Trust.reject")(function* (who, reason = "") {
      return isKnown(yield* operations.reject(yield* nodeOf(who), reason))
    }),
    revoke: Effect.fn("Trust.revoke")(function* (who) {
      yield* operations.revoke(yield* nodeOf(who))
    }),
    invite: Effect.fn("Trust.invite")(function* (options = {}) {
      const { life = "1 day", note = "", services = [], uses = 1 } = options
      const reply = yield* invitation("invite.create", {
        ...{ services: [...services], uses, note, for: options.for ?? "" },
        life_seconds: Math.floor(Duration.toSeconds(Duration.fromInputUnsafe(life)))
      })
      return {
        id: Json.string(reply, "id"),
        text: Json.string(reply, "invitation"),
        expiresAt: dateOf(reply, "expires_at")
      }
    }),
    invitations: Effect.map(invitation("invite.list", {}), (reply) =>
      Json.objects(reply, "invitations").map((row) => ({
        id: Json.string(row, "id"),
        state: Json.string(row, "state"),
        uses: Json.integer(row, "uses"),
        usesMax: Json.integer(row, "uses_max"),
        services: Json.strings(row, "services"),
        note: Json.string(row, "note"),
        expiresAt: dateOf(row, "expires_at")
      }))
    ),
    revokeInvitation: (id) => Effect.map(invitation("invite.revoke", { id }), (reply) => Json.boolean(reply, "known")),
    redeem: Effect.fn("Trust.redeem")(function* (text, said = "") {
      const reply = yield* invitation("invite.redeem", { invitation: text, text: said })
      return {
        node: Json.unsigned(reply, "node_id", 32),
        address: Json.string(reply, "address"),
        hostname: Json.string(reply, "hostname"),
        fingerprint: Json.string(reply, "fingerprint"),
        status: Json.string(reply, "status") === "already_trusted" ? "already_trusted" : "sent"
      }
    })
  }
})

/** A node that asks for trust may be hidden by the registry: its number says enough. */
const locate = (who: Who): Effect.Effect<Address.NodeId, DialError | Peer.NoSuchPeer | PilotError, Pilot> => {
  const text = typeof who === "object" && who._tag === "ByAddress" ? who.address : who
  if (typeof text === "object") return Effect.map(Peer.resolve(text), ({ node }) => Address.NodeId(node))
  if (/^[0-9]{1,10}$/.test(String(text)) && Number(text) <= 0xffffffff)
    return Effect.succeed(Address.NodeId(Number(text)))
  const parsed = Address.parse(String(text))
  return Result.isSuccess(parsed)
    ? Effect.succeed(parsed.success.node)
    : Effect.map(Peer.resolve(String(text)), ({ node }) => Address.NodeId(node))
}

interface Seen {
  readonly list: ReadonlyArray<Trusted>
  readonly pending: ReadonlyArray<Pending>
}

const watching = (look: Effect.Effect<Seen, TrustError>): Stream.Stream<Change, TrustError> =>
  Stream.suspend(() => {
    let before: Seen = { list: [], pending: [] }
    const step = Effect.map(look, (now) => {
      const changes = changesOf(before, now)
      before = now
      return changes
    })
    return Stream.fromEffectSchedule(step, Schedule.spaced(LOOK_INTERVAL)).pipe(Stream.flatMap(Stream.fromIterable))
  })

/** What lies between two looks. Pure. */
export const changesOf = (before: Seen, now: Seen): ReadonlyArray<Change> => {
  const trusted = (seen: Seen, node: number, publicKey?: string) =>
    seen.list.some((one) => one.node === node && (publicKey === undefined || one.publicKey === publicKey))
  const asks = (seen: Seen, node: number) => seen.pending.some((one) => one.node === node)
  return [
    ...now.pending.filter(({ node }) => !asks(before, node)).map((pending): Change => ({ _tag: "Asked", pending })),
    ...now.list
      .filter(({ node, publicKey }) => !trusted(before, node, publicKey))
      .map((one): Change => ({ _tag: "Approved", trusted: one })),
    ...before.pending
      .filter(({ node }) => !asks(now, node) && !trusted(now, node))
      .map(({ node }): Change => ({ _tag: "Declined", node })),
    ...before.list.filter(({ node }) => !trusted(now, node)).map(({ node }): Change => ({ _tag: "Revoked", node }))
  ]
}

const trustedOf = (row: Json.JsonObject): Trusted => ({
  node: Json.unsigned(row, "node_id", 32),
  publicKey: Json.string(row, "public_key"),
  fingerprint: Json.string(row, "fingerprint"),
  isMutual: Json.boolean(row, "mutual"),
  approvedAt: dateOf(row, "approved_at")
})

const pendingOf = (row: Json.JsonObject): Pending => ({
  node: Json.unsigned(row, "node_id", 32),
  fingerprint: Json.string(row, "fingerprint"),
  justification: Json.string(row, "justification"),
  receivedAt: dateOf(row, "received_at")
})

const isKnown = (reply: Json.JsonObject): boolean => Json.member(reply, "known") !== false
const dateOf = (row: Json.JsonObject, name: string): Date => new Date(Json.integer(row, name) * 1000)

const LOOK_INTERVAL = "500 millis"
