/** What every TCP server of this project does alike: opens its port, ends with its scope, and counts who connects. */
import type { Server, Socket } from "node:net"
import { Effect, type Scope } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"
import * as IpAddress from "../data/IpAddress.ts"
import * as SourceGroup from "../data/SourceGroup.ts"
import * as NodeBindError from "./NodeBindError.ts"
import type { BindError } from "./UdpEndpoint.ts"

/** A server, and how to end its connections. */
export interface Serving {
  readonly server: Server
  readonly destroyAll: () => void
}

/** Opens the port of what `make` returns, which may throw, as for a certificate that does not parse; the scope closes it. */
export const listen = <A extends Serving>(
  place: NodeBindError.Place,
  make: () => A
): Effect.Effect<A, BindError, Scope.Scope> => Effect.acquireRelease(open(place, make), close)

const open = <A extends Serving>(place: NodeBindError.Place, make: () => A) =>
  Effect.callback<A, BindError>((resume) => {
    const refused = (cause: unknown) => resume(Effect.fail(NodeBindError.make(place, cause)))
    try {
      const serving = make()
      serving.server.once("error", refused)
      serving.server.listen({ host: place.host, port: place.port }, () => {
        // An accept error later on (no more file descriptors) must not end the process; the server goes on accepting.
        serving.server.on("error", () => {})
        resume(Effect.succeed(serving))
      })
    } catch (cause) {
      refused(cause)
    }
  })

const close = ({ destroyAll, server }: Serving) =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    destroyAll()
  })

/** Where it listens. */
export const localOf = (server: Server): Endpoint => {
  const address = server.address()
  return address === null || typeof address === "string"
    ? { host: "", port: 0 }
    : { host: address.address, port: address.port }
}

/** Who is at the other end; `undefined` if it has gone already. */
export const remoteOf = (socket: Pick<Socket, "remoteAddress" | "remotePort">): Endpoint | undefined => {
  const host = IpAddress.canonical(socket.remoteAddress ?? "")
  return host === undefined || socket.remotePort === undefined ? undefined : { host, port: socket.remotePort }
}

/** Connections by source, at most so many of each. */
export class SourceCounts {
  readonly #perSourceMax: number
  readonly #counts = new Map<string, number>()

  constructor(perSourceMax: number) {
    this.#perSourceMax = perSourceMax
  }

  /** Counts one more from that host until it closes; false, and not counted, if those are too many. */
  count(host: string, socket: { readonly once: (event: "close", listener: () => void) => unknown }): boolean {
    const source = SourceGroup.of(host)
    const count = this.#counts.get(source) ?? 0
    if (count >= this.#perSourceMax) return false
    this.#counts.set(source, count + 1)
    socket.once("close", () => {
      const left = (this.#counts.get(source) ?? 1) - 1
      if (left === 0) this.#counts.delete(source)
      else this.#counts.set(source, left)
    })
    return true
  }
}
