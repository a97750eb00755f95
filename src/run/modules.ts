import { fileUrl } from "#run";
import { resolvedYaml } from "../config/load.ts";
import type { RunConfig } from "../config/schema.ts";

/** A configuration whose own modules are named by `name`, given the URL of its file. */
function withModules(
  config: RunConfig,
  file: string | undefined,
  name: (url: URL) => string,
): RunConfig {
  if (file === undefined) return config;
  const named = <Section extends object>(section: Section): Section => {
    if (!("module" in section) || typeof section.module !== "string") return section;
    return { ...section, module: name(new URL(section.module, file)) };
  };
  const { rewards, data, eval: asked } = config;
  const benchmarks = Array.isArray(asked) ? asked.map(named) : asked && named(asked);
  return { ...config, rewards: rewards.map(named), data: named(data), eval: benchmarks };
}

/**
 * Names modules by their URLs: they are the same in a configuration and in the run's record of it.
 *
 * @param file URL of the configuration's file; undefined for one that a program made.
 */
export function comparable(config: RunConfig, file: string | undefined): RunConfig {
  return withModules(config, file, (url) => url.href);
}

/** Returns the record of a run's configuration: its modules are named from the run's folder. */
export function recordOf(config: RunConfig, file: string | undefined, folder: string): string {
  const { protocol, pathname: from } = fileUrl(folder);
  return resolvedYaml(
    withModules(config, file, (url) =>
      url.protocol === protocol ? relativePath(from, url.pathname) : url.href,
    ),
  );
}

/** The path from a folder to a file, both from the root with slashes. */
function relativePath(folder: string, file: string): string {
  const [from, to] = [folder, file].map((path) => path.split("/").filter((part) => part !== ""));
  let shared = 0;
  while (shared < from!.length && from![shared] === to![shared]) shared++;
  return [...from!.slice(shared).map(() => ".."), ...to!.slice(shared)].join("/");
}
