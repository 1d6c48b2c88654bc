/**
 * WebSockets between hosts of a `VirtualNetwork`: what TCP carries of them, message by message. A URL names an address and a
 * port; certificates, proxies and HTTP are not simulated.
 */
import { Effect } from "effect"
import * as Bytes from "../core/data/Bytes.ts"
import { BindError } from "../core/net/UdpEndpoint.ts"
import { WebSocketClient, WebSocketError, type WebSocketTarget } from "../core/net/WebSocketClient.ts"
import { WebSocketListener, type WebSocketListenOptions, type WebSocketServer } from "../core/net/WebSocketListener.ts"
import type { WebSocketMessage, WebSocketPeer } from "../core/net/WebSocketPeer.ts"
import type { Host, VirtualNetwork } from "./VirtualNetwork.ts"
import { oneWayMs, TcpEnd } from "./VirtualTcp.ts"

/** Every listening port of a world. Mutable; owned by it. */
export class WebSocketTable {
  readonly network: VirtualNetwork
  readonly #listeners = new Map<string, Listener>()
  #ends: Array<TcpEnd> = []

  constructor(network: VirtualNetwork) {
    this.network = network
  }

  /** Stops everything of one host: with a reset to the other sides, or without a word. */
  stop(host: Host, isSudden: boolean): void {
    for (const end of this.#ends) {
      if (end.host !== host) continue
      if (isSudden) end.vanish()
      else end.destroy()
    }
    for (const [name, listener] of this.#listeners) if (listener.host === host) this.#listeners.delete(name)
    this.#ends = this.#ends.filter(({ isOpen }) => isOpen)
  }

  /** The server side of a host, while it runs. */
  listener(host: Host, isRunning: () => boolean): WebSocketListener["Service"] {
    return WebSocketListener.of({
      listen: (options) =>
        Effect.acquireRelease(
          Effect.suspend(() => {
            const name = `${host.name} ${options.port}`
            if (!isRunning() || this.#listeners.has(name)) return Effect.fail(taken(host, options))
            const listener: Listener = { host, options, accept: undefined }
            this.#listeners.set(name, listener)
            return Effect.succeed({ listener, name })
          }),
          ({ listener, name }) =>
            Effect.sync(() => {
              if (this.#listeners.get(name) === listener) this.#listeners.delete(name)
            })
        ).pipe(
          Effect.map(
            ({ listener }): WebSocketServer => ({
              local: { host: host.address, port: options.port },
              onConnection: (accept) => {
                listener.accept = accept
              }
            })
          )
        )
    })
  }

  /** The client side of a host, while it runs. */
  client(host: Host, isRunning: () => boolean): WebSocketClient["Service"] {
    return WebSocketClient.of({
      connect: (target, { timeoutMs }) =>
        Effect.acquireRelease(
          this.#open(host, isRunning, target).pipe(
            Effect.timeoutOrElse({
              duration: timeoutMs,
              orElse: () => Effect.fail(failure(target, "Timeout", `nothing within ${timeoutMs} ms`))
            })
          ),
          (peer) => Effect.sync(() => peer.destroy()),
          { interruptible: true }
        )
    })
  }

  /** Round trips of TCP, TLS and HTTP; a path that is cut is waited for. */
  #open(from: Host, isRunning: () => boolean, target: WebSocketTarget): Effect.Effect<WebSocketPeer, WebSocketError> {
    const { network } = this
    return Effect.gen({ self: this }, function* () {
      const url = new URL(target.url)
      const reached = network.reach(from, url.hostname.replace(/^\[(.*)\]$/, "$1"))
      if (reached === undefined || !isRunning()) return yield* failure(target, "Unreachable", "no route to host")
      const roundTrip = () => oneWayMs(network, from, reached.host) + oneWayMs(network, reached.host, from)
      for (let trips = 0; trips < ROUND_TRIPS; trips++) {
        yield* Effect.sleep(roundTrip())
        while (!network.isConnected(from, reached.host)) yield* Effect.sleep(RETRY_MS)
      }
      const port = url.port === "" ? HTTPS_PORT : Number(url.port)
      const listener = this.#listeners.get(`${reached.host.name} ${port}`)
      if (listener?.accept === undefined || !isRunning())
        return yield* failure(target, "Unreachable", "connection refused")
      if (listener.options.protocols[url.pathname] !== target.protocol)
        return yield* failure(target, "NotOffered", "answered 404")
      const [near, far] = TcpEnd.pair(network, from, reached.host)
      this.#ends.push(near, far)
      listener.accept(peerOf(network, far), { path: url.pathname, remote: { host: reached.as, port: 0 } })
      return peerOf(network, near)
    })
  }
}

interface Listener {
  readonly host: Host
  readonly options: WebSocketListenOptions
  accept: Parameters<WebSocketServer["onConnection"]>[0] | undefined
}

const peerOf = (network: VirtualNetwork, end: TcpEnd): WebSocketPeer => {
  let receive: ((batch: ReadonlyArray<WebSocketMessage>) => void) | undefined
  let batch: Array<WebSocketMessage> = []
  let told: ((detail: string) => void) | undefined
  let closed: string | undefined
  const flush = () => {
    const messages = batch
    batch = []
    if (messages.length > 0) receive?.(messages)
  }
  const over = (detail: string) => {
    if (closed !== undefined) return
    closed = detail
    told?.(detail)
  }
  return {
    bufferedBytes: () => end.bufferedBytes,
    send: (message, sent) => {
      end.send(
        typeof message === "string"
          ? Bytes.concat(Uint8Array.of(1), Bytes.fromUtf8(message))
          : Bytes.concat(Uint8Array.of(0), message)
      )
      sent?.()
    },
    onBatch: (receiver) => {
      receive = receiver
      end.attach({
        data: (bytes) => {
          const body = bytes.subarray(1)
          if (batch.push(bytes[0] === 1 ? Bytes.toUtf8Lossy(body) : body) === 1) network.time.defer(flush)
        },
        ended: () => {
          end.destroy()
          over("closed")
        },
        lost: over
      })
    },
    onClosed: (listener) => {
      told = listener
      if (closed !== undefined) listener(closed)
    },
    pause: () => end.pause(),
    resume: () => end.resume(),
    close: () => {
      end.end()
      over("closed")
    },
    destroy: () => {
      end.destroy()
      over("closed")
    }
  }
}

const taken = (host: Host, { port }: WebSocketListenOptions): BindError =>
  new BindError({ reason: "PortInUse", host: host.address, port, detail: `simulated host ${host.name}` })

const failure = (target: WebSocketTarget, reason: WebSocketError["reason"], detail: string): WebSocketError =>
  new WebSocketError({ reason, url: target.url, detail })

/** TCP, TLS 1.3, HTTP. */
const ROUND_TRIPS = 3
const RETRY_MS = 1000
const HTTPS_PORT = 443
