/** How the commands for events reach brokers: through the daemon, a socket for each stream, so that none waits for another. */
import { Effect, type Scope } from "effect"
import type { Failure, Network } from "../../actors/pubsub/client/EventFeed.ts"
import * as Provided from "../../core/actor/Provided.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import type { Duplex } from "../../core/net/Duplex.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as EventFrame from "../../protocol/wire/EventFrame.ts"
import type * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"

/** A stream to port 1002 of a node. A daemon of the reference knows no half-closed streams; then its end is the end. */
export const dial = Effect.fnUntraced(function* (
  address: Address.Address
): Effect.fn.Return<Duplex<Failure>, CliError.CliError | DaemonClient.IpcError, Environment> {
  const client = yield* DaemonClient.connect
  yield* client.knowEnds
  const { endWriting, read, write } = yield* client.dial(address, EventFrame.PORT)
  return { read, write, end: endWriting }
})

/** This node and every peer that it trusts. */
export const make: Effect.Effect<Network<CliError.CliError>, never, Exclude<Environment, Scope.Scope>> = Effect.map(
  Provided.services<Environment>(),
  (context) => ({
    brokers: Effect.provideContext(Effect.scoped(brokers), context),
    dial: (node) =>
      Effect.provideContext(
        Effect.catchTag(dial(Address.make(0, node)), "IpcError", (error) =>
          Effect.fail(DaemonClient.failure("events", error))
        ),
        context
      ),
    randomBytes: NativeCrypto.crypto.randomBytes
  })
)

/** What tells a broker's answer from an event. */
export const nonce = (): string => Bytes.toHex(NativeCrypto.crypto.randomBytes(16))

const brokers = Effect.gen(function* () {
  const client = yield* DaemonClient.connect
  const info = yield* DaemonClient.ask("events", client.info)
  const trusted = yield* DaemonClient.ask("events", client.trusted)
  return [info, ...Json.objects(trusted, "trusted")].map((row) => Address.NodeId(Json.unsigned(row, "node_id", 32)))
})
