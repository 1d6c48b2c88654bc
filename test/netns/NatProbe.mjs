/**
 * What a translator does to UDP, found out with plain sockets and none of our code.
 *
 * `node NatProbe.mjs serve IP IP`: three sockets, two of them on the first address; prints `ready`.
 * `node NatProbe.mjs ask IP IP`: asks them and prints mapping and filtering as JSON.
 * `node NatProbe.mjs hairpin IP IP`: prints as JSON whether a second socket reaches the first by its outside endpoint.
 *
 * A datagram `N` asks for an answer from socket N, which says from where the question came. What must not arrive is followed by an
 * answer that must, so that nothing waits for an absence but the first question.
 */
import { createSocket } from "node:dgram"

const [role, first, second] = process.argv.slice(2)
const SERVERS = [
  [first, 7001],
  [first, 7002],
  [second, 7001]
]

const serve = async () => {
  const sockets = SERVERS.map(() => createSocket("udp4"))
  await Promise.all(
    SERVERS.map(([ip, port], index) => new Promise((resolve) => sockets[index].bind(port, ip, resolve)))
  )
  for (const socket of sockets)
    socket.on("message", (asked, { address, port }) => {
      const by = Number(asked)
      sockets[by].send(`${by} ${address}:${port}`, port, address)
    })
  console.log("ready")
}

const ask = async () => {
  const socket = createSocket("udp4")
  await new Promise((resolve) => socket.bind(0, resolve))
  const heard = []
  let wake = () => {}
  socket.on("message", (text, { address, port }) => {
    heard.push({ said: String(text), from: `${address}:${port}` })
    wake()
  })
  const question = (to, by) => socket.send(String(by), SERVERS[to][1], SERVERS[to][0])
  /** Until socket `by` has answered; undefined after a second. */
  const answer = async (by) => {
    const deadline = performance.now() + 1000
    while (performance.now() < deadline) {
      const index = heard.findIndex(({ said }) => said.startsWith(`${by} `))
      if (index >= 0) return heard.splice(index, 1)[0].said.slice(2)
      await new Promise((resolve) => {
        wake = resolve
        setTimeout(resolve, 100)
      })
    }
  }
  const result = (mapping, filtering) => console.log(JSON.stringify({ mapping, filtering }))
  question(0, 0)
  const mapped = await answer(0)
  if (mapped === undefined) return result("blocked", "blocked")
  // From another port, from another address, then from where an answer is sure to pass.
  question(0, 1)
  question(0, 2)
  question(0, 0)
  await answer(0)
  const passed = (by) => heard.some(({ said }) => said.startsWith(`${by} `))
  const filtering = passed(2) ? "none" : passed(1) ? "address" : "port"
  heard.length = 0
  question(1, 1)
  question(2, 2)
  const others = [await answer(1), await answer(2)]
  result(others.every((other) => other === mapped) ? "endpoint-independent" : "endpoint-dependent", filtering)
}

const hairpin = async () => {
  const sockets = [createSocket("udp4"), createSocket("udp4")]
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.bind(0, resolve))))
  const [inside, caller] = sockets
  const answered = (socket) =>
    new Promise((resolve) => socket.once("message", (text) => resolve(String(text).slice(2))))
  const question = (socket) => socket.send("0", SERVERS[0][1], SERVERS[0][0])
  const mapped = answered(inside)
  question(inside)
  const [, host, port] = /^(.*):(\d+)$/.exec(await mapped)
  let isReached = false
  inside.on("message", (text) => {
    isReached ||= String(text) === "here"
  })
  caller.send("here", Number(port), host)
  // An answer that must arrive follows, on either socket.
  const later = [answered(caller), answered(inside)]
  question(caller)
  await later[0]
  question(inside)
  await later[1]
  console.log(JSON.stringify({ hairpin: isReached }))
}

if (role === "serve") await serve()
else {
  await (role === "ask" ? ask() : hairpin())
  process.exit(0)
}
