"""{{ cookiecutter.package_name }}: from data to a trained, evaluated model."""
