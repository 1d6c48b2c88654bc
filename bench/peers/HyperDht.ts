/** hyperdht: Noise over UDX, written in C, found through a Kademlia table. The contact is a public key in hex. */
import HyperDHT from "hyperdht"
import { fromStream, type Transport } from "./Wire.ts"

/** A node that announces itself, or dials, from this address; nothing but the bootstrap nodes knows of it. */
export const make = async (address: string, bootstrap: string): Promise<Transport> => {
  const dht = new HyperDHT({ bootstrap: bootstrap.split(","), host: address })
  await dht.fullyBootstrapped()
  return {
    serve: async (serve) => {
      const server = dht.createServer((socket) => serve(fromStream(socket)))
      const keyPair = HyperDHT.keyPair()
      await server.listen(keyPair)
      return keyPair.publicKey.toString("hex")
    },
    dial: (contact) =>
      new Promise((resolve, reject) => {
        const socket = dht.connect(Buffer.from(contact, "hex"))
        socket.once("open", () => resolve(fromStream(socket)))
        socket.once("error", reject)
      }),
    close: () => dht.destroy({ force: true })
  }
}

/** The table of the network: some nodes that stay. The contact is what `make` takes. */
export const makeBootstrap = async (address: string): Promise<Transport> => {
  const nodes: Array<HyperDHT> = []
  const contacts: Array<string> = []
  for (let index = 0; index < TABLE_NODES; index++) {
    const port = FIRST_PORT + index
    const dht = new HyperDHT({
      ephemeral: false,
      firewalled: false,
      bootstrap: contacts.slice(0, 1),
      host: address,
      port
    })
    await dht.fullyBootstrapped()
    nodes.push(dht)
    contacts.push(`${address}:${port}`)
  }
  return {
    serve: async () => contacts[0] ?? "",
    dial: () => Promise.reject(new Error("a bootstrap node is not dialled")),
    close: async () => void (await Promise.all(nodes.map((node) => node.destroy({ force: true }))))
  }
}

/** Few, so that a lookup is quick: in the wild it asks more, farther away. */
const TABLE_NODES = 4
const FIRST_PORT = 49_737
