/** Looks at the translator of this host without a node: by a socket of its own, as a node with this configuration would. */
import * as NodeAddressResolver from "@effect/platform-node/NodeAddressResolver"
import * as NodeDns from "@effect/platform-node/NodeDns"
import { Effect, Layer } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as NodeUdpEndpoint from "../../core/net/NodeUdpEndpoint.ts"
import { type BindError, UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import type { NatKnowledge } from "../../nat/NatReport.ts"
import * as NatObserver from "../node/NatObserver.ts"
import * as HostAddress from "./HostAddress.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import type { NodeError } from "./NodeError.ts"

/** Takes a second or two. A port that is taken is left to whoever has it. */
export const look = (config: NodeConfig): Effect.Effect<NatKnowledge, NodeError | BindError> =>
  Effect.scoped(Effect.flatMap(Layer.build(SURROUNDINGS), (context) => Effect.provideContext(lookIn(config), context)))

const lookIn = Effect.fnUntraced(function* (config: NodeConfig) {
  const udp = yield* UdpEndpoint
  const beacon = yield* HostAddress.resolve(config.beacon)
  const listen = yield* HostAddress.listening(config.listen, beacon)
  const socket = yield* Effect.catch(udp.bind(listen), () => udp.bind({ host: listen.host, port: 0 }))
  const observer = yield* NatObserver.make({ socket, udp, crypto: yield* Crypto, beacons: () => [beacon] })
  socket.onBatch((batch) => {
    for (const { bytes, from } of batch) observer.received(bytes, from)
  })
  yield* observer.discover
  return observer.knowledge
})

const SURROUNDINGS = Layer.mergeAll(
  NativeCrypto.layer,
  NodeUdpEndpoint.layer,
  NodeAddressResolver.layer.pipe(Layer.provide(NodeDns.layer))
)
