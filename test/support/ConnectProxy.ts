/** An HTTP proxy that only knows CONNECT and wants a name and a password, which a test changes while it runs. */
import { createServer } from "node:http"
import { connect, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

/** A running one. */
export interface ConnectProxy {
  readonly port: number
  /** `name:password`; tunnels that are open go on. */
  credentials: string
  /** Where tunnels were opened to, and how many were refused for their credentials. */
  readonly opened: Array<string>
  refused: number
  /** Cuts all open tunnels. */
  readonly cut: () => void
}

/** On the loopback, for as long as the scope. */
export const make = (credentials: string): Effect.Effect<ConnectProxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly proxy: ConnectProxy; readonly close: () => void }>((resume) => {
        const sockets = new Set<Socket>()
        const cut = () => {
          for (const socket of sockets) socket.destroy()
        }
        const server = createServer((_request, response) => response.writeHead(405).end())
        server.on("connection", (socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.once("close", () => sockets.delete(socket))
        })
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          const proxy: ConnectProxy = { port, credentials, opened: [], refused: 0, cut }
          server.on("connect", (request, socket, head) => {
            const expected = `Basic ${Buffer.from(proxy.credentials).toString("base64")}`
            if (request.headers["proxy-authorization"] !== expected) {
              proxy.refused++
              socket.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
              return
            }
            const [host, targetPort] = (request.url ?? "").split(":")
            const target = connect(Number(targetPort), host, () => {
              proxy.opened.push(request.url ?? "")
              socket.write("HTTP/1.1 200 Connection Established\r\n\r\n")
              target.write(head)
              target.pipe(socket).pipe(target)
            })
            target.on("error", () => socket.destroy())
            socket.on("close", () => target.destroy())
          })
          const close = () => {
            cut()
            server.close()
          }
          resume(Effect.succeed({ proxy, close }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ proxy }) => proxy
  )
