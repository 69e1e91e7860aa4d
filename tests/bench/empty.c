/* empty.c - a program that does nothing, linked to what quern is linked to: what the libraries alone cost at start. */
int main(void)
{
    return 0;
}
