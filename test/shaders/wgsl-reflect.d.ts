/** The package describes only its main entry, which does not load under Node's module rules. */
declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}
