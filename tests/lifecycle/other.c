/* Another library that a program with the module has loaded; its destructor still uses the module. */
void at_unload(void);

__attribute__((destructor)) static void unload(void)
{
    at_unload();
}
