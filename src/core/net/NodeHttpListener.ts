/** Effect's `HttpServer` on a real port, its failure to bind with our reasons. */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, type Scope } from "effect"
import type { HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import type { Endpoint } from "../data/Endpoint.ts"
import { codeOf, describe } from "./NodeLocalPath.ts"
import { BindError } from "./UdpEndpoint.ts"

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
  }).pipe(Effect.mapError(({ cause }) => bindError(options, cause)))
  const { address } = server
  return {
    server,
    local:
      address._tag === "UnixPathAddress"
        ? { host: address.path, port: 0 }
        : { host: NetAddress.formatIp(address.address), port: address.port }
  }
})

const bindError = (options: { readonly host: string | undefined; readonly port: number }, cause: unknown): BindError =>
  new BindError({
    reason: REASONS.get(codeOf(cause)) ?? "Other",
    host: options.host ?? "",
    port: options.port,
    detail: describe(cause)
  })

const REASONS: ReadonlyMap<string, BindError["reason"]> = new Map([
  ["EADDRINUSE", "PortInUse"],
  ["EADDRNOTAVAIL", "AddressNotAvailable"],
  ["EACCES", "PermissionDenied"],
  ["EPERM", "PermissionDenied"]
])
/** A client that dawdles is cut off. */
const LIMITS = { headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 5000 }
