/**
 * Hosts as network namespaces of Linux, joined through a router by virtual cables: `a` — router — `b`. Each is held by a
 * process that sleeps; they go with the scope, and the cables with them. Needs root and iproute2.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { Effect, Schema, type Scope } from "effect"

/** A command that prepares or inspects a namespace failed. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  detail: Schema.String
}) {}

/** One host. */
export interface Host {
  readonly ip: string
  /** The process that holds the namespace, by which a cable's end is put there. */
  readonly pid: number
  /** Runs a command there to its end and gives what it printed. */
  readonly run: (...command: ReadonlyArray<string>) => Effect.Effect<string, CommandFailed>
  /** Starts one there; it is killed when the scope ends. */
  readonly start: (...command: ReadonlyArray<string>) => Effect.Effect<ChildProcess, never, Scope.Scope>
  /** A counter of the kernel there: `Ip`, `FragCreates`. */
  readonly count: (protocol: string, name: string) => Effect.Effect<number, CommandFailed>
}

/** Two hosts behind a router; the MTUs are those of the two cables. */
export const make = Effect.fnUntraced(function* (mtus: readonly [number, number]) {
  const [a, b, router] = [yield* host("10.77.1.2"), yield* host("10.77.2.2"), yield* host("")]
  yield* router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
  for (const [side, index] of [
    [a, 1],
    [b, 2]
  ] as const) {
    const [near, far] = [`near${index}`, `far${index}`]
    const mtu = String(mtus[index - 1])
    yield* router.run("ip", "link", "add", near, "mtu", mtu, "type", "veth", "peer", "name", far, "mtu", mtu)
    yield* router.run("ip", "link", "set", far, "netns", String(side.pid))
    yield* router.run("ip", "address", "add", `10.77.${index}.1/24`, "dev", near)
    yield* router.run("ip", "link", "set", near, "up")
    yield* side.run("ip", "address", "add", `${side.ip}/24`, "dev", far)
    yield* side.run("ip", "link", "set", far, "up")
    yield* side.run("ip", "route", "add", "default", "via", `10.77.${index}.1`)
  }
  return { a, b, router } satisfies Record<string, Host>
})

/** A namespace with a loopback. Its own view of `/sys` is mounted, where the MTU of an interface is read. */
export const host = Effect.fnUntraced(function* (ip: string) {
  const holder = yield* started(
    "unshare",
    "--net",
    "--mount",
    "sh",
    "-c",
    "mount -t sysfs sysfs /sys && echo ready && exec sleep 7200"
  )
  yield* saidSomething(holder)
  const enter = ["--target", String(holder.pid), "--net", "--mount", "--"]
  const run = (...command: ReadonlyArray<string>) => ended("nsenter", ...enter, ...command)
  yield* run("ip", "link", "set", "lo", "up")
  return {
    ip,
    pid: holder.pid ?? 0,
    run,
    start: (...command: ReadonlyArray<string>) => started("nsenter", ...enter, ...command),
    count: (protocol: string, name: string) =>
      Effect.map(run("cat", "/proc/net/snmp"), (text) => {
        const [names, values] = text.split("\n").filter((line) => line.startsWith(`${protocol}: `))
        return Number(values?.split(" ")[names?.split(" ").indexOf(name) ?? -1])
      })
  }
})

/** The first line that a process prints. */
export const saidSomething = (child: ChildProcess): Effect.Effect<string, CommandFailed> =>
  Effect.callback((resume) => {
    let text = ""
    const failed = (detail: string) => resume(new CommandFailed({ command: child.spawnargs.join(" "), detail }))
    child.stdout?.on("data", (chunk) => {
      text += chunk
      if (text.includes("\n")) resume(Effect.succeed(text.slice(0, text.indexOf("\n"))))
    })
    child.stderr?.on("data", (chunk) => failed(String(chunk)))
    child.once("error", (error) => failed(error.message))
    child.once("exit", (code) => failed(`ended with ${code}`))
  })

const started = (file: string, ...args: ReadonlyArray<string>): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] })
      // Whoever waits for its words hears of it.
      child.on("error", () => {})
      return child
    }),
    (child) =>
      Effect.promise(async () => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
        const exited = once(child, "exit")
        child.kill("SIGKILL")
        await exited
      })
  )

const ended = (file: string, ...args: ReadonlyArray<string>): Effect.Effect<string, CommandFailed> =>
  Effect.callback((resume) => {
    execFile(file, args, (error, stdout, stderr) => {
      if (error === null) resume(Effect.succeed(stdout))
      else resume(new CommandFailed({ command: [file, ...args].join(" "), detail: stderr || error.message }))
    })
  })
