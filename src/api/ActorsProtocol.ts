/** What two nodes say to each other about actors: an `RpcGroup` on a port of its own (`docs/protocol.md`). */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { ActorStopped, AskTimeout, MailboxFull } from "../core/actor/ActorError.ts"

/** Nobody of that name is registered for this node. Whether there is one for others is not said. */
export class NoSuchActor extends Schema.TaggedError<NoSuchActor>()("NoSuchActor", { actor: Schema.String }) {
  override get message(): string {
    return `no actor ${this.actor} for this node`
  }
}

/** The two nodes do not have the same protocol: the actor does not know the message, or the answer is another one. */
export class ProtocolMismatch extends Schema.TaggedError<ProtocolMismatch>()("ProtocolMismatch", {
  actor: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.actor}: ${this.detail}`
  }
}

/** The failure that the protocol of the actor declares, as JSON. */
export class Declared extends Schema.TaggedError<Declared>()("Declared", { error: Schema.Json }) {}

/** Longest name of an actor or a message. */
export const NAME_CHARACTERS_MAX = 256

const Name = Schema.String.check(Schema.isMaxLength(NAME_CHARACTERS_MAX))
const message = { actor: Name, tag: Name, payload: Schema.Json }
const Refusal = Schema.Union([NoSuchActor, ProtocolMismatch, ActorStopped, MailboxFull])

/** How a watched actor ended. */
export const Ended = Schema.Union([
  Schema.Struct({ _tag: Schema.Literal("Stopped") }),
  Schema.Struct({ _tag: Schema.Literal("Failed"), detail: Schema.String })
])

/** The group. `watch` succeeds with the end of the actor, and fails if there is none to watch. */
export const Actors = RpcGroup.make(
  Rpc.make("tell", { payload: message, error: Refusal }),
  Rpc.make("ask", {
    payload: { ...message, timeoutMs: Schema.Finite },
    success: Schema.Json,
    error: Schema.Union([Refusal, AskTimeout, Declared])
  }),
  Rpc.make("watch", { payload: { actor: Name }, success: Ended, error: NoSuchActor })
)

/** Where actors are, unless both ends agree on another port. */
export const PORT = 6271
