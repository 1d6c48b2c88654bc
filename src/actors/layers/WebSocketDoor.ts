/** The port at which a rendezvous takes WebSockets: to its beacon for nodes without UDP, and to its registry. */
import { Effect, type Scope } from "effect"
import type { TlsIdentity } from "../../core/crypto/SelfSignedCertificate.ts"
import * as AddressScope from "../../core/data/AddressScope.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as IpAddress from "../../core/data/IpAddress.ts"
import type { BindError } from "../../core/net/UdpEndpoint.ts"
import { WebSocketListener } from "../../core/net/WebSocketListener.ts"
import * as CompatMessage from "../../protocol/wire/CompatMessage.ts"
import type { BeaconServer } from "../beacon/BeaconServerActor.ts"
import type { RegistryServer } from "../registry/RegistryServerActor.ts"

/** Where, and to whom it leads. */
export interface Options {
  readonly host: string | undefined
  readonly port: number
  readonly tls: TlsIdentity
  /** Blocks of addresses, divided by commas, of reverse proxies. */
  readonly proxies: string
  readonly registry: Pick<RegistryServer, "adopt">
  readonly beacon: Pick<BeaconServer, "bridge">
}

/** Opens it in the surrounding scope. */
export const open = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Endpoint, BindError, WebSocketListener | Scope.Scope> {
  const blocks = options.proxies.split(",").flatMap((text) => AddressScope.parseBlock(text.trim()) ?? [])
  const { listen } = yield* WebSocketListener
  const server = yield* listen({
    host: options.host,
    port: options.port,
    tls: options.tls,
    protocols: PROTOCOLS,
    messageBytesMax: CompatMessage.MESSAGE_BYTES_MAX,
    connectionsMax: CONNECTIONS_MAX,
    connectionsPerSourceMax: CONNECTIONS_PER_SOURCE_MAX,
    isProxy: (host) => {
      const address = IpAddress.parse(host)
      return address !== undefined && blocks.some((block) => AddressScope.isWithin(address, block))
    }
  })
  server.onConnection((peer, { path, remote }) => {
    if (path === CompatMessage.PATH) options.beacon.bridge(peer, remote)
    else options.registry.adopt(peer, remote)
  })
  return server.local
})

const PROTOCOLS = {
  [CompatMessage.PATH]: CompatMessage.SUBPROTOCOL,
  [CompatMessage.REGISTRY_PATH]: CompatMessage.REGISTRY_SUBPROTOCOL
}
/** Two for each node that has nothing else. */
const CONNECTIONS_MAX = 20_000
/** A company behind one address. */
const CONNECTIONS_PER_SOURCE_MAX = 1_000
