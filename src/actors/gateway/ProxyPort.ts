/**
 * One connection to the proxy port: SOCKS5 if it begins with 5, else HTTP. Only names under `.pilot` lead anywhere, so it is
 * no open proxy; and what it dials it dials as this node, so it wants the token (security rule 8).
 */
import { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Secret from "../../core/data/Secret.ts"
import type { HttpHead, HttpRefusal, HttpRoute } from "../../core/net/HttpRelay.ts"
import type { TcpConnection } from "../../core/net/Tcp.ts"
import * as PilotName from "../../protocol/gateway/PilotName.ts"
import * as Socks5 from "../../protocol/gateway/Socks5.ts"
import type { OpenDoor, ProxyDoor } from "./Door.ts"
import type { House } from "./House.ts"
import { PushBack } from "./PushBack.ts"
import * as Splice from "./Splice.ts"

/** Serves it to its end. A client that does not come to the point within a while is dropped. */
export const pass = (house: House, state: OpenDoor, door: ProxyDoor, connection: TcpConnection): Effect.Effect<void> =>
  Effect.gen(function* () {
    const client = new PushBack(connection)
    const next = yield* Effect.timeout(greeted(client, door), GREETING_TIMEOUT)
    if (next._tag === "Http") return yield* house.http.serve(client, (head) => routed(house, state, door, head))
    if (next._tag === "Connect") yield* socks(house, state, connection, client, next)
  }).pipe(
    Effect.catch((error) => {
      state.refused++
      state.problem = error.message
      return connection.reset
    })
  )

type Next = { readonly _tag: "Http" | "End" } | (Socks5.Step & { readonly _tag: "Connect" })

/** What the client wants, after what SOCKS says first. */
const greeted = Effect.fnUntraced(function* (client: PushBack, door: ProxyDoor) {
  const first = yield* client.atLeast(1)
  if (first.length === 0) return END
  if (first[0] !== Socks5.VERSION) return HTTP
  const greeting = yield* client.step(Socks5.greeting)
  if (greeting._tag !== "Greeted") return yield* ended(client, greeting)
  const method = door.token === undefined ? Socks5.Method.None : Socks5.Method.Password
  if (!greeting.methods.has(method)) {
    yield* client.write(Socks5.chose(Socks5.Method.Unacceptable))
    return END
  }
  yield* client.write(Socks5.chose(method))
  if (door.token !== undefined) {
    const shown = yield* client.step(Socks5.credentials)
    if (shown._tag !== "Authenticated") return yield* ended(client, shown)
    const isRight = Secret.isSame(shown.password, door.token)
    yield* client.write(Socks5.admitted(isRight))
    if (!isRight) return END
  }
  const request = yield* client.step(Socks5.request)
  return request._tag === "Connect" ? request : yield* ended(client, request)
})

/** It said something that leads nowhere. */
const ended = (client: PushBack, step: Socks5.Step): Effect.Effect<Next, { readonly message: string }> =>
  step._tag === "Refused" && step.reply !== undefined ? Effect.as(client.write(step.reply), END) : Effect.succeed(END)

const socks = (
  { overlay }: House,
  state: OpenDoor,
  connection: TcpConnection,
  client: PushBack,
  { host, port }: Socks5.Step & { readonly _tag: "Connect" }
) => {
  const peer = PilotName.parse(host)
  if (peer === undefined) {
    state.refused++
    return client.write(Socks5.reply(Socks5.Reply.NotAllowed))
  }
  return overlay.dial(peer, port).pipe(
    Effect.matchEffect({
      onFailure: ({ detail, isRefused }) => {
        state.refused++
        state.problem = `${host}:${port}: ${detail}`
        return client.write(Socks5.reply(isRefused ? Socks5.Reply.Refused : Socks5.Reply.HostUnreachable))
      },
      onSuccess: (stream) =>
        Effect.andThen(
          client.write(Socks5.reply(Socks5.Reply.Succeeded)),
          Splice.run({ stream: client, drop: connection.reset }, { stream, drop: stream.close }, state)
        )
    }),
    Effect.scoped
  )
}

/** `http://peer.pilot:8080/path` of a proxied request, `peer.pilot:8080` of a tunnel. */
const routed = ({ overlay }: House, state: OpenDoor, door: ProxyDoor, head: HttpHead): HttpRoute | HttpRefusal => {
  if (door.token !== undefined && !isAuthorized(head.headers["proxy-authorization"] ?? "", door.token)) {
    return { status: 407, message: "the gateway's token is needed", headers: { "proxy-authenticate": CHALLENGE } }
  }
  const [, authority = "", path = "/"] = /^http:\/\/([^/?#]*)([^#]*)$/i.exec(head.target) ?? []
  const isTunnel = head.method === "CONNECT"
  const place = PilotName.parseAuthority(isTunnel ? head.target : authority, HTTP_PORT)
  if (place === undefined) {
    state.refused++
    return { status: 403, message: "this proxy leads to names that end in .pilot, and nowhere else" }
  }
  const dial = Effect.map(overlay.dial(place.peer, place.port), (stream) => Splice.counted(stream, state))
  return {
    to: { dial },
    path: path.startsWith("/") ? path : `/${path}`,
    headers: isTunnel ? {} : { host: authority },
    strip: STRIPPED
  }
}

/** Basic, with any user. */
const isAuthorized = (header: string, token: string): boolean => {
  const [, encoded = ""] = /^basic +([a-z0-9+/=]+)$/i.exec(header) ?? []
  const text = Bytes.toUtf8Lossy(Bytes.fromBase64Lenient(encoded) ?? Bytes.empty)
  return Secret.isSame(text.slice(text.indexOf(":") + 1), token)
}

const END: Next = { _tag: "End" }
const HTTP: Next = { _tag: "Http" }
const HTTP_PORT = 80
const STRIPPED = "proxy-"
const CHALLENGE = 'Basic realm="pilot gateway"'
const GREETING_TIMEOUT = "15 seconds"
