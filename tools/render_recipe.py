"""Read the recipe for conda as its build tool does, and print it as it is built. Needs
`py-rattler-build`."""

from pathlib import Path

from rattler_build import Stage0Recipe, VariantConfig

RECIPE = Path(__file__).resolve().parent.parent / "recipe" / "recipe.yaml"
(variant,) = Stage0Recipe.from_file(RECIPE).render(VariantConfig({"python_min": ["3.10"]}))
print(variant)
