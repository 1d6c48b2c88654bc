/** The operation `register` of the extension: what a daemon does by itself when its registry has forgotten it, now. */
import { Effect } from "effect"
import * as Endpoint from "../../core/data/Endpoint.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import { Node } from "../node/Node.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import * as IpcAnswer from "./IpcAnswer.ts"

/** Registers under the same key, at `listen` or where the node is, and tells name and visibility again. */
export const again = Effect.fnUntraced(function* (
  listen: string
): Effect.fn.Return<JsonObject, string, Node | RegistryClient> {
  const endpoint = listen === "" ? undefined : Endpoint.parse(listen)
  if (listen !== "" && endpoint === undefined) return yield* Effect.fail(`register: not a host:port: ${listen}`)
  const status = yield* Effect.flatMap(Node, (node) => node.status)
  const registry = yield* RegistryClient
  const { address } = yield* IpcAnswer.refusing(
    "register",
    registry.register({
      listenAddress: Endpoint.format(endpoint ?? status.mapped ?? Endpoint.reachable(status.local)),
      owner: status.owner,
      lanAddresses: Endpoint.isWildcard(status.local.host) ? [] : [Endpoint.format(status.local)]
    })
  )
  if (status.isPublic) yield* IpcAnswer.refusing("register", registry.setVisibility(true))
  if (status.hostname !== "") yield* IpcAnswer.refusing("register", registry.setHostname(status.hostname))
  return { node_id: address.node, address: Address.format(address), type: "register_ok" }
})
