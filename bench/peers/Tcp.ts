/** TCP of the kernel, in clear. The contact is `address:port`. */
import { type AddressInfo, connect, createServer } from "node:net"
import { fromStream, type Transport } from "./Wire.ts"

/** Listens on, or dials from, this address. */
export const make = (address: string): Transport => ({
  serve: (serve) =>
    new Promise((resolve) => {
      const server = createServer({ noDelay: true }, (socket) => serve(fromStream(socket)))
      server.listen(0, address, () => resolve(`${address}:${(server.address() as AddressInfo).port}`))
    }),
  dial: (contact) =>
    new Promise((resolve, reject) => {
      const [host = "", port] = contact.split(":")
      const socket = connect({ host, port: Number(port), noDelay: true }, () => resolve(fromStream(socket)))
      socket.once("error", reject)
    }),
  close: async () => {}
})
