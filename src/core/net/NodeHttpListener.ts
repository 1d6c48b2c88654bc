/** Effect's `HttpServer` on a real port, its failure to bind with our reasons. */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, type Scope } from "effect"
import type { HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import type { Endpoint } from "../data/Endpoint.ts"
import * as NodeBindError from "./NodeBindError.ts"
import type { BindError } from "./UdpEndpoint.ts"

/** A server, and the place it listens at. */
export interface HttpListener {
  readonly server: HttpServer.HttpServer["Service"]
  readonly local: Endpoint
}

/** Opens the port; closing the scope closes it. An `undefined` host is every address, port 0 a free port. */
export const listen = Effect.fn("NodeHttpListener.listen")(function* (options: {
  readonly host: string | undefined
  readonly port: number
}): Effect.fn.Return<HttpListener, BindError, Scope.Scope> {
  const server = yield* NodeHttpServer.make(() => createServer(LIMITS), {
    ...options,
    gracefulShutdownTimeout: "1 second"
  }).pipe(Effect.mapError(({ cause }) => NodeBindError.make(options, cause)))
  const { address } = server
  return {
    server,
    local:
      address._tag === "UnixPathAddress"
        ? { host: address.path, port: 0 }
        : { host: NetAddress.formatIp(address.address), port: address.port }
  }
})

/** A client that dawdles is cut off. */
const LIMITS = { headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 5000 }
