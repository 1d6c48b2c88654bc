/** Lets a node be found on its local network, and finds others there; only home's, whose ids are those of the doors. */
import { Effect } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { OwnKeyState } from "../identity/OwnKeyState.ts"
import type { Member } from "../membership/Roster.ts"
import * as LanActor from "../node/LanActor.ts"
import type { Node } from "../node/Node.ts"
import type * as NodeSupervisor from "../node/NodeSupervisor.ts"
import * as Names from "../registry/Names.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import type { RegistryPins } from "../registry/RegistryPins.ts"

/** The node with its neighbours in its status. */
export const spawn = Effect.fnUntraced(function* (
  own: OwnKeyState,
  { card, keys, registry }: Member,
  running: Pick<NodeSupervisor.Running, "learn" | "node">,
  pins: RegistryPins
) {
  const { node } = running
  const { sha256 } = yield* Crypto
  const { local } = yield* node.status
  const isAlone = local.host.startsWith("127.") || local.host === "::1"
  if (isAlone) return node
  const fingerprint = card.fingerprint ?? (card.plaintext === true ? undefined : yield* pins.read(card.registry))
  let status = yield* node.status
  const neighbours = yield* LanActor.spawn({
    identity: own.key,
    registry: Bytes.toHex(sha256(Bytes.fromUtf8(`pilot-lan:${fingerprint ?? card.registry}`)).subarray(0, TAG_BYTES)),
    node: () => status.address.node,
    name: () => (status.isPublic ? status.hostname : ""),
    local,
    pinned: (peer) => keys.pinned(peer),
    found: (peer, endpoints) =>
      Effect.andThen(
        Effect.provideService(Names.hint(peer, endpoints[0]!), RegistryClient, registry),
        running.learn(peer, endpoints)
      ),
    before: Effect.map(node.status, (now) => {
      status = now
    })
  })
  return {
    ...node,
    status: Effect.map(node.status, (now) => ({ ...now, neighbours: neighbours() }))
  } satisfies Node["Service"]
})

/** Of the hash that stands for a registry. */
const TAG_BYTES = 8
