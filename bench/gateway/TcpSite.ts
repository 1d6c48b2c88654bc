/**
 * What is reached through a gateway, and the plain proxy beside it, each a process of its own that says its port.
 *
 * `node bench/gateway/TcpSite.ts site` answers a first byte of 0 with everything that follows it, and one of 1 with as many bytes
 * as the next four say. `node bench/gateway/TcpSite.ts proxy PORT` passes on to that port of the loopback.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import process from "node:process"

/** The first byte of a connection. */
export const WISH = { echo: 0, download: 1 } as const

const site = (): Server =>
  createServer({ noDelay: true }, (socket) => {
    socket.on("error", ignore)
    let head = Buffer.alloc(0)
    const begin = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk])
      if (head[0] === WISH.echo) {
        socket.off("data", begin)
        if (head.length > 1) socket.write(head.subarray(1))
        socket.pipe(socket)
      } else if (head.length >= HEAD_BYTES) {
        socket.off("data", begin).resume()
        send(socket, head.readUInt32BE(1))
      }
    }
    socket.on("data", begin)
  })

const send = (socket: Socket, sizeBytes: number): void => {
  let left = sizeBytes
  const more = () => {
    while (left > 0) {
      const size = Math.min(left, BLOCK.length)
      left -= size
      if (!socket.write(BLOCK.subarray(0, size))) return void socket.once("drain", more)
    }
    socket.end()
  }
  more()
}

const proxy = (port: number): Server =>
  createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const onward = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
    socket.on("error", () => onward.destroy())
    onward.on("error", () => socket.destroy())
    socket.pipe(onward).pipe(socket)
  })

const ignore = () => {}

/** The wish, and the size of a download. */
const HEAD_BYTES = 5
const BLOCK = Buffer.alloc(64 << 10, 7)

if (process.send !== undefined) {
  const [what, port] = process.argv.slice(2)
  const server = what === "site" ? site() : proxy(Number(port))
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
    process.send?.((server.address() as AddressInfo).port)
  })
}
