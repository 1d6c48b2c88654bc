/**
 * As many programs as a bridge has, joined by the same pipes, sockets and datagrams, which only pass on what they read:
 * what six programs of Node cost that do nothing else.
 */
import { createSocket } from "node:dgram"
import { connect, createServer, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { Effect, FileSystem } from "effect"
import * as Children from "../Children.ts"
import type { Command } from "./LineClient.ts"

/** The program. */
const PROGRAM = fileURLToPath(import.meta.url)

/** A server behind the chain, until the scope ends; `home` is the home of the programs. */
export const start = Effect.fnUntraced(function* (home: string, server: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  const [near, far] = [`${directory}/near`, `${directory}/far`]
  const part = (...args: ReadonlyArray<string>) =>
    Effect.tap(Children.start([process.execPath, PROGRAM, ...args]), Children.message)
  const keeper = yield* part("keeper", far, server)
  const there = yield* part("node", String(THERE), String(HERE), far, "connect")
  const here = yield* part("node", String(HERE), String(THERE), near)
  const mount: Command = {
    command: process.execPath,
    args: [PROGRAM, "shim", near],
    env: { PATH: process.env["PATH"] ?? "", HOME: home }
  }
  const pids = { "the client's node": here.pid ?? 0, "the server's node": there.pid ?? 0, keeper: keeper.pid ?? 0 }
  return { mount, pids }
})

const roles: Readonly<Record<string, (...args: ReadonlyArray<string>) => void>> = {
  shim: (path = "") => {
    const socket = connect(path)
    process.stdin.on("data", (bytes) => socket.write(bytes)).on("end", () => process.exit())
    socket.on("data", (bytes) => process.stdout.write(bytes))
  },
  node: (own, other, path = "", connects) => {
    const udp = createSocket("udp4")
    const join = (socket: Socket) => {
      socket.on("data", (bytes) => udp.send(bytes, Number(other), HOST))
      udp.on("message", (bytes) => socket.write(bytes))
    }
    udp.bind(Number(own), HOST)
    if (connects === undefined) createServer(join).listen(path, ready)
    else join(connect(path, ready))
  },
  keeper: async (path = "", server = "") => {
    const { spawn } = await import("node:child_process")
    const { stdin, stdout } = spawn(process.execPath, [server], { stdio: ["pipe", "pipe", "inherit"] })
    createServer((socket) => {
      socket.on("data", (bytes) => stdin.write(bytes))
      stdout.on("data", (bytes) => socket.write(bytes))
    }).listen(path, ready)
  }
}

const ready = () => process.send?.("ready")

const HOST = "127.0.0.1"
const [HERE, THERE] = [38_129, 38_130]

if (process.argv[1] === PROGRAM) roles[process.argv[2] ?? ""]?.(...process.argv.slice(3))
