/**
 * The MTU of the network interface by which this machine reaches an address. Node has no such call, so the kernel is
 * asked for its route by connecting a socket, which sends nothing; its source address names the interface, and Linux
 * tells that one's MTU in a file. Elsewhere Ethernet's is assumed, and on a loopback what UDP can carry.
 */
import { createSocket } from "node:dgram"
import { type NetworkInterfaceInfo, networkInterfaces } from "node:os"
import { Effect, type FileSystem } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"

/** Bytes of an IP packet; `ETHERNET_BYTES` where it cannot be known. Never fails. */
export const towards = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, to: Endpoint) {
  const source = yield* sourceAddress(to)
  // A destination on this machine is reached by the loopback, whichever of its addresses it has.
  const isLoopback = source === to.host || isInternal(source)
  const name = nameOf(isLoopback ? ({ internal }) => internal : ({ address }) => address === source)
  const text = yield* Effect.orElseSucceed(fileSystem.readFileString(`/sys/class/net/${name}/mtu`), () => "")
  const mtuBytes = Number(text)
  if (Number.isSafeInteger(mtuBytes) && mtuBytes > 0) return mtuBytes
  return isLoopback ? LOOPBACK_BYTES : ETHERNET_BYTES
})

/** The addresses of all interfaces. */
export const addresses = (): ReadonlyArray<string> =>
  Object.values(networkInterfaces()).flatMap((rows) => (rows ?? []).map(({ address }) => address))

/** Where datagrams to this place would come from; `undefined` when there is no way there. */
const sourceAddress = ({ host, port }: Endpoint): Effect.Effect<string | undefined> =>
  Effect.callback((resume) => {
    const family = host.includes(":") ? 6 : 4
    const socket = createSocket({
      type: family === 6 ? "udp6" : "udp4",
      lookup: (name, _options, done) => done(null, name, family)
    })
    const end = (address: string | undefined) => {
      socket.close()
      resume(Effect.succeed(address))
    }
    socket.once("error", () => end(undefined))
    socket.connect(port, host, () => end(socket.address().address))
  })

const isInternal = (source: string | undefined): boolean =>
  nameOf(({ address, internal }) => internal && address === source) !== undefined

/** The interface with such an address. */
const nameOf = (isWanted: (address: NetworkInterfaceInfo) => boolean): string | undefined =>
  Object.entries(networkInterfaces()).find(([, addresses]) => addresses?.some(isWanted))?.[0]

/** RFC 894. */
const ETHERNET_BYTES = 1500
/** The length field of an IP packet has 16 bits. */
const LOOPBACK_BYTES = 65_535
