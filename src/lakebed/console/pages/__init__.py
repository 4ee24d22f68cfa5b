"""The pages, one a module: ``async def page(backend, asked) -> Page``. ``console/app.py`` lists them with their addresses."""
