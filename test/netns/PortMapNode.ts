/**
 * Asks the router of the network namespace it was started in for a port, prints what it got, and gives it back when it
 * is told to end.
 *
 * `node test/netns/PortMapNode.ts PORT`
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import * as PortMapper from "../../src/actors/node/PortMapper.ts"
import { Crypto } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import { Gateway } from "../../src/core/net/Gateway.ts"
import * as NodeGateway from "../../src/core/net/NodeGateway.ts"
import * as NodeRouterHttp from "../../src/core/net/NodeRouterHttp.ts"
import * as NodeUdpEndpoint from "../../src/core/net/NodeUdpEndpoint.ts"
import { RouterHttp } from "../../src/core/net/RouterHttp.ts"
import { UdpEndpoint } from "../../src/core/net/UdpEndpoint.ts"

const program = Effect.gen(function* () {
  yield* PortMapper.run({
    udp: yield* UdpEndpoint,
    crypto: yield* Crypto,
    internalPort: Number(process.argv[2]),
    changed: (mapping, detail) => void process.stdout.write(`${JSON.stringify(mapping ?? detail ?? null)}\n`)
  })
  return yield* Effect.never
}).pipe(
  Effect.scoped,
  Effect.provideService(Gateway, Effect.provide(NodeGateway.find, NodeFileSystem.layer)),
  Effect.provideService(RouterHttp, NodeRouterHttp.ask),
  Effect.provide(Layer.mergeAll(NodeUdpEndpoint.layer, NativeCrypto.layer))
)

NodeRuntime.runMain(program)
