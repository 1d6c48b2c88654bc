/** A PostgreSQL of Debian's packages, which refuses to run as root, for as long as a test. Needs Linux and root. */
import { chownSync, mkdirSync } from "node:fs"
import { Effect, type Scope } from "effect"
import * as PilotProcesses from "./PilotProcesses.ts"

/**
 * Starts an empty one below a directory of this test, which others may then enter. Gives its port on 127.0.0.1; its user is
 * `postgres`. Only one that is told to be durable syncs its commits.
 */
export const start = Effect.fnUntraced(function* (
  parent: string,
  isDurable = false
): Effect.fn.Return<number, never, Scope.Scope> {
  const directory = `${parent}/postgres`
  mkdirSync(directory)
  const uid = Number(yield* succeeds("id", "-u", "postgres"))
  chownSync(directory, uid, uid)
  yield* succeeds("chmod", "a+x", parent)
  const port = yield* PilotProcesses.freePort
  yield* asPostgres(directory, "initdb -D data --auth trust -N >log")
  const options = `"-p ${port} -c listen_addresses=127.0.0.1 -k ${directory}${isDurable ? "" : " -c fsync=off"}"`
  yield* asPostgres(directory, `pg_ctl -D data -l log -w -o ${options} start >>log`)
  yield* Effect.addFinalizer(() => asPostgres(directory, "pg_ctl -D data -m immediate stop >>log"))
  return port
})

const asPostgres = (directory: string, words: string) => {
  const command = `cd ${directory} && PATH=$(pg_config --bindir):$PATH ${words}`
  return succeeds("runuser", "-u", "postgres", "--", "sh", "-c", command)
}

const succeeds = (program: string, ...args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.flatMap(
    PilotProcesses.run(program, args, { PATH: process.env["PATH"] ?? "" }),
    ({ exitCode, stderr, stdout }) =>
      exitCode === 0 ? Effect.succeed(stdout) : Effect.die(`${program} ${args.join(" ")}: ${stderr}`)
  )
