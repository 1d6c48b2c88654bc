/**
 * Two hosts and the path between them on this machine: two network namespaces, joined by two TUN devices that the
 * `Shaper` reads. The same path for everything that speaks IP, TCP of the kernel included (docs/decisions/0031).
 */
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { type ChildFailed, message, run, start } from "../Children.ts"
import type { Counts, Request, Shape } from "./Shaper.ts"

/** One host: its address, and what to put before a command so that it runs there. */
export interface Host {
  readonly address: string
  readonly enter: ReadonlyArray<string>
  /** Its way to the other one, as `ip route` has it. */
  readonly route: string
}

/** Who dials, and who is dialled. */
export interface Hosts {
  readonly client: Host
  readonly server: Host
}

/** Both hosts, and what is between them. */
export interface Path extends Hosts {
  /** Changes the path for all packets from now on; gives the counts (to the server, to the client) since the last change. */
  readonly shape: (shape: Shape, seed?: number) => Effect.Effect<ReadonlyArray<Counts>, ChildFailed>
  /** What TCP connections that begin from now on do about congestion. */
  readonly tcpCongestionControl: (name: "bbr" | "cubic") => Effect.Effect<void, ChildFailed>
}

/** A round trip of `rttMs`, as often lost on the way there as back; without a rate, nothing ever queues. */
export const shapeOf = (options: {
  readonly rttMs: number
  readonly lossRate?: number
  readonly bitsPerSecond?: number
  /** The queue, as a multiple of rate times round trip. */
  readonly queueProducts?: number
}): Shape => {
  const { bitsPerSecond = Number.POSITIVE_INFINITY, lossRate = 0, queueProducts = 1, rttMs } = options
  return {
    delayMs: rttMs / 2,
    lossRate,
    bitsPerSecond,
    queueBytes: Math.max(2 * MTU_BYTES, (queueProducts * bitsPerSecond * rttMs) / 8000)
  }
}

/** Needs Linux, Perl, and the right to make a user namespace. The path ends with the scope. */
export const make: Effect.Effect<Path, ChildFailed, Scope.Scope> = Effect.gen(function* () {
  const shaper = yield* start([
    ...["unshare", "--user", "--map-root-user", "--net", "--"],
    ...["perl", OPEN_TUNNELS, ...Object.keys(ADDRESSES), "--", process.execPath, SHAPER]
  ])
  yield* exchange(shaper, { shape: shapeOf({ rttMs: 0 }), seed: 0 })
  const [client, server] = [yield* host(shaper, "client"), yield* host(shaper, "server")]
  return {
    client,
    server,
    shape: (shape, seed = 1) => exchange(shaper, { shape, seed }),
    tcpCongestionControl: (name) =>
      Effect.forEach(
        [client, server],
        ({ enter, route }) => run([...enter, ...`ip route replace ${route} congctl ${name}`.split(" ")]),
        { discard: true }
      )
  }
})

/** One host that is both, whose loopback carries IP packets up to this size. */
export const loopback = Effect.fnUntraced(function* (mtuBytes: number) {
  const holder = yield* start(["unshare", "--user", "--map-root-user", "--net", "--mount", "--", ...HOLDER])
  yield* message(holder)
  const inside = enter(holder)
  yield* run([...inside, "ip", "link", "set", "lo", "mtu", String(mtuBytes), "up"])
  const host = { address: "127.0.0.1", enter: inside, route: "local 127.0.0.0/8 dev lo" }
  return { client: host, server: host } satisfies Hosts
})

/** Starts a Node program on a host, with a channel to it, until the scope ends. */
export const fork = (host: Host, program: string, args: ReadonlyArray<string>) =>
  start([...host.enter, process.execPath, program, ...args])

const host = Effect.fnUntraced(function* (shaper: ChildProcess, device: keyof typeof ADDRESSES) {
  const outside = enter(shaper)
  // A namespace lives as long as a process in it.
  const holder = yield* start([...outside, "unshare", "--net", "--mount", "--", ...HOLDER])
  yield* message(holder)
  yield* run([...outside, "ip", "link", "set", device, "netns", String(holder.pid)])
  const inside = enter(holder)
  const address = ADDRESSES[device]
  const route = `${NETWORK} dev ${device} src ${address} initcwnd ${INITIAL_WINDOW} initrwnd 1000`
  const script = [
    "ip link set lo up",
    `ip address add ${address}/24 dev ${device}`,
    // The path loses what it is told to lose; the devices lose nothing.
    `ip link set ${device} mtu ${MTU_BYTES} txqueuelen ${DEVICE_QUEUE_PACKETS} up`,
    `ip route replace ${route}`,
    `sysctl -qw net.ipv4.tcp_rmem="${TCP_BUFFER}" net.ipv4.tcp_wmem="${TCP_BUFFER}" net.ipv4.tcp_no_metrics_save=1`
  ].join(" && ")
  yield* run([...inside, "sh", "-c", script])
  return { address, enter: inside, route } satisfies Host
})

const enter = ({ pid }: ChildProcess): ReadonlyArray<string> => [
  "nsenter",
  ...["--preserve-credentials", "--user", "--net", "--mount", "--target", String(pid), "--"]
]

const exchange = (shaper: ChildProcess, request: Request): Effect.Effect<ReadonlyArray<Counts>, ChildFailed> => {
  shaper.send(request)
  return Effect.map(message(shaper), (answer) => answer as ReadonlyArray<Counts>)
}

const OPEN_TUNNELS = fileURLToPath(new URL("open-tunnels.pl", import.meta.url))
const SHAPER = fileURLToPath(new URL("Shaper.ts", import.meta.url))
const HOLD = "process.on('disconnect', () => process.exit()); process.send('ready')"
/** With a `/sys` of its own, because that of the machine tells of the machine's interfaces, whose sizes are others. */
const HOLDER = ["sh", "-c", 'mount -t sysfs sysfs /sys && exec "$0" -e "$1"', process.execPath, HOLD]
const NETWORK = "10.99.0.0/24"
const ADDRESSES = { client: "10.99.0.1", server: "10.99.0.2" }
/** IPv4 and UDP headers. */
export const HEADER_BYTES = 28
const MTU_BYTES = 1500
const DEVICE_QUEUE_PACKETS = 20_000
/** Segments that TCP sends at first, as the bars of the architecture page have it; ours and hyperdht have their own. */
const INITIAL_WINDOW = 32
/** Least, first, most: a receiver never limits what the path carries. */
const TCP_BUFFER = "4096 1048576 67108864"
