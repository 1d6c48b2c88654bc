/** Keeps what invitations promise: puts whoever came in into the `--allow` lists of the services it was promised. */
import { Effect } from "effect"
import type { OpenServices } from "../../actors/trust/ServiceOpener.ts"
import * as Provided from "../../core/actor/Provided.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type { Environment } from "../Command.ts"
import * as KeeperClient from "../mcp/KeeperClient.ts"

/** Over the keeper of this state directory, which is started where services are on disk. */
export const opener: Effect.Effect<OpenServices, never, Environment> = Effect.map(
  Provided.services<Environment>(),
  (environment) => (peer, services) =>
    open(peer, services).pipe(
      Effect.scoped,
      Effect.provide(environment),
      Effect.as(true),
      Effect.catch(({ message }) =>
        Effect.as(Effect.logWarning(`node ${peer.node} may not use ${services.join(", ")} yet: ${message}`), false)
      )
    )
)

/** A service that is gone meanwhile is not promised any more: one of the same name would be another. */
const open = Effect.fnUntraced(function* (
  { node, publicKey }: Parameters<OpenServices>[0],
  services: ReadonlyArray<string>
) {
  const state = yield* KeeperClient.status
  if (state === undefined) return
  const name = Address.format(Address.make(0, node))
  const peer = { node, publicKey: Bytes.toBase64(publicKey), name }
  yield* KeeperClient.ask({ op: "allow", names: services, peer })
})
