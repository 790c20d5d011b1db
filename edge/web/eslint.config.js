import js from "@eslint/js";
import globals from "globals";

export default [
  {ignores: ["node_modules/"]},
  js.configs.recommended,
  {
    languageOptions: {globals: {...globals.browser, ...globals.serviceworker}},
    rules: {
      "max-lines": ["error", 400],
      "max-lines-per-function": ["error", {max: 70, skipComments: true}],
      "no-var": "error",
      "prefer-const": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["tests/**"],
    languageOptions: {globals: globals.node},
    rules: {"max-lines-per-function": "off"},
  },
];
